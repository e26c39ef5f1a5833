// A separate schema for a server under test, in the temporary PostgreSQL that SOHBET_TEST_POSTGRES names (.ci/services starts
// one).
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";

// psql runs a statement at the address.
function psql(address, statement) {
  execFileSync("psql", ["--quiet", "--no-psqlrc", "--command", statement, address], { env: { ...process.env, PGOPTIONS: "-c client_min_messages=warning" } });
}

// postgres creates an empty schema and returns the settings that make a server use it.
export function postgres() {
  const address = process.env.SOHBET_TEST_POSTGRES;
  if (!address) throw new Error("SOHBET_TEST_POSTGRES is not set: run this through .ci/services, or run make test");
  const schema = `protocol_${randomBytes(8).toString("hex")}`;
  psql(address, `CREATE SCHEMA ${schema}`);
  const url = new URL(address);
  url.searchParams.set("search_path", schema);
  return { DATABASE_URL: url.href, SECRET_KEY: randomBytes(32).toString("hex") };
}

// drop deletes the schema of a server with these settings while the server is running.
export function drop({ DATABASE_URL: address }) {
  const url = new URL(address);
  const schema = url.searchParams.get("search_path");
  url.searchParams.delete("search_path");
  psql(url.href, `DROP SCHEMA ${schema} CASCADE`);
}
