// The configurations of deploy/ in front of three processes: a client that polls always reaches the same process, and clients are
// distributed over all processes.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, describe, it } from "node:test";
import { cluster, transports, withTimeout } from "./harness.mjs";
import { ReverseProxy } from "./services.mjs";

const CLIENTS = 40; // enough that each process gets some with near certainty

describe("three processes behind", () => {
  const token = randomBytes(16).toString("hex");
  let servers;
  before(async () => { servers = await cluster(3, { METRICS_TOKEN: token, TRUSTED_PROXIES: "127.0.0.1" }); });
  after(() => Promise.all(servers.map((s) => s.stop())));

  const sockets = async (server) => {
    const text = await (await fetch(`${server.url}/metrics`, { headers: { Authorization: `Bearer ${token}` }, signal: AbortSignal.timeout(20_000) })).text();
    return Number(/^sohbet_sockets (\d+)$/m.exec(text)[1]);
  };

  for (const kind of ["nginx", "several caddy", "haproxy"]) {
    for (const [name, transport] of Object.entries(transports)) {
      it(`${kind}, over ${name}`, async () => {
        const proxy = await ReverseProxy.start(kind, servers.map((s) => new URL(s.url).port));
        try {
          // Each client loads the page first, as a browser does, and keeps the cookie.
          const clients = await Promise.all(Array.from({ length: CLIENTS }, async () => {
            const page = await fetch(`${proxy.url}/`, { signal: AbortSignal.timeout(20_000) });
            assert.equal(page.status, 200);
            const cookie = page.headers.getSetCookie().map((c) => c.split(";")[0]).find((c) => c.startsWith("sohbet_at="));
            assert.ok(cookie, "the proxy gave no cookie");
            return servers[0].connect({ ...transport, cookie, url: proxy.url });
          }));
          for (const server of servers) assert.ok(await sockets(server) > 0, "a process has no client");
          let left = 0;
          for (const client of clients) client.socket.on("disconnect", () => left++);
          for (const client of clients) {
            const { thread_id } = await client.ok("join", { display_name: "Ayşe" });
            for (let n = 0; n < 2; n++) await client.ok("message", { thread_id, text: `${n}` });
            const { messages } = await client.ok("history", { thread_id, after_id: 0 });
            assert.equal(messages.length, 2);
          }
          assert.equal(left, 0, "connections were lost");
          for (const client of clients) client.close();
        } finally {
          await withTimeout(proxy.stop(), 15_000, "the proxy did not stop");
        }
      });
    }
  }
});
