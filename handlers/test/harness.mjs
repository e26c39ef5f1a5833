// Starts the real binary and connects to it with the official Socket.IO client. SOHBET_BIN names the binary; otherwise it is
// built once into a temporary folder.
import { randomBytes } from "node:crypto";
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { io } from "socket.io-client";
import { postgres } from "./postgres-schema.mjs";
import { freePort, started } from "./processes.mjs";

export { postgres };

const top = fileURLToPath(new URL("../..", import.meta.url));

// GRACE is how long to wait for user_offline, in ms. It comes late, so that a reload does not count as absence.
export const GRACE = 20_000;
const PATIENCE = 30_000; // ms to wait for an answer; machines that run tests may be slow

export const transports = {
  polling: { transports: ["polling"] },
  websocket: { transports: ["websocket"] },
};

// build compiles a program of this module and returns its path; it is deleted when this process ends.
export function build(pkg) {
  const dir = mkdtempSync(path.join(tmpdir(), "sohbet-bin-"));
  process.on("exit", () => rmSync(dir, { recursive: true, force: true }));
  const bin = path.join(dir, "program");
  execFileSync(process.env.GO ?? "go", ["build", "-buildvcs=false", "-o", bin, pkg], { cwd: top, stdio: "inherit" });
  return bin;
}

let binary;

// start runs the server with the settings, on a free port and with an empty data folder. Rate limits are off unless a test sets
// one.
export async function start(settings = {}) {
  binary ??= process.env.SOHBET_BIN ?? build(".");
  const dir = mkdtempSync(path.join(tmpdir(), "sohbet-data-"));
  const limits = Object.fromEntries(["MESSAGE", "UPLOAD", "API", "LOGIN"].map((n) => [`RATE_LIMIT_${n}`, "off"]));
  const server = new Server(dir, {
    TZ: process.env.TZ, HOST: "127.0.0.1", PORT: String(await freePort()), DATA_DIR: dir, LOG_FORMAT: "json",
    ...limits, ...settings,
  });
  try {
    await server.ready();
  } catch (err) {
    await server.stop();
    throw err;
  }
  return server;
}

// cluster starts n processes on one database and on the Redis that SOHBET_TEST_REDIS names.
export async function cluster(n, settings = {}) {
  const redis = process.env.SOHBET_TEST_REDIS;
  if (!redis) throw new Error("SOHBET_TEST_REDIS is not set: run this through .ci/services, or run make test");
  const shared = { ...postgres(), REDIS_URL: redis, ...settings };
  const servers = [await start(shared)]; // the first one creates the tables
  servers.push(...await Promise.all(Array.from({ length: n - 1 }, () => start(shared))));
  return servers;
}

class Server {
  output = "";
  clients = new Set();

  constructor(dir, env) {
    this.dir = dir;
    this.env = env;
    this.spawn();
  }

  spawn() {
    const child = started(binary, [], { cwd: this.dir, env: this.env, stdio: ["ignore", "pipe", "pipe"] });
    this.child = child;
    this.ended = new Promise((resolve) => child.once("exit", (code, signal) => resolve(code ?? signal)));
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text) => (this.output += text));
    }
  }

  async ready() {
    this.url = await this.printed(/"listening","address":"([^"]+)"/);
  }

  // succeed stops the process with SIGTERM, within the grace period (ms) that a platform gives, and starts the next one with the
  // same address and data. It returns how many ms the stop took.
  async succeed(grace) {
    const began = performance.now();
    this.child.kill("SIGTERM");
    const code = await withTimeout(this.ended, grace, "the server did not stop");
    const took = performance.now() - began;
    assert.equal(code, 0, `the server ended with ${code}; it printed:\n${this.output.slice(-4000)}`);
    const from = this.output.length;
    this.spawn();
    await this.printed(/"listening","address":"([^"]+)"/, from);
    return took;
  }

  // printed waits until the server's output matches, and returns the first group.
  async printed(pattern, from = 0) {
    const end = Date.now() + 15_000;
    for (;;) {
      const found = pattern.exec(this.output.slice(from));
      if (found) return found[1];
      if (this.child.exitCode !== null || Date.now() > end) {
        throw new Error(`the server did not print ${pattern}; it printed:\n${this.output}`);
      }
      await sleep(20);
    }
  }

  // command runs one of the program's commands with the server's settings, and returns its output.
  command(...args) {
    const { status, stdout, stderr } = spawnSync(binary, args, { cwd: this.dir, env: this.env, encoding: "utf8", timeout: 30_000 });
    assert.equal(status, 0, stderr);
    return stdout;
  }

  // signIn requests a code, reads it from the server's log as an operator would, and returns the session's Cookie header.
  async signIn() {
    const from = this.output.length;
    const asked = await this.post("/request-otp", {});
    assert.equal(asked.status, 200);
    assert.doesNotMatch(await asked.text(), /\d{6}/, "the code must not be in the answer");
    const otp = await this.printed(/"code":"(\d{6})"/, from);
    const verified = await this.post("/verify-otp", { otp }, cookies(asked));
    assert.deepEqual(await verified.json(), { success: true, redirect: "/admin" });
    return cookies(verified).split("; ").find((c) => c.startsWith("sohbet_session="));
  }

  // invite makes another agent by an owner's invitation, and returns the Cookie header of the new agent's session.
  async invite(owner, name) {
    const { url } = await (await this.post("/api/agents/invite", { role: "agent" }, owner)).json();
    const joined = await this.post("/api/invite", { token: url.split("/").at(-1), name, password: randomBytes(12).toString("hex") });
    assert.equal(joined.status, 200);
    return cookies(joined).split("; ").find((c) => c.startsWith("sohbet_session="));
  }

  post(route, body, cookie) {
    const headers = { "Content-Type": "application/json", ...(cookie && { Cookie: cookie }) };
    return fetch(this.url + route, { method: "POST", headers, body: JSON.stringify(body) });
  }

  // open returns a client that is not connected yet; it is closed when the server is stopped at the latest.
  open({ cookie, headers, url = this.url, ...options } = {}) {
    const socket = io(url, {
      forceNew: true, reconnection: false, timeout: 10_000,
      extraHeaders: { ...(cookie && { Cookie: cookie }), ...headers }, ...options,
    });
    const client = new Client(socket);
    this.clients.add(client);
    return client;
  }

  async connect(options) {
    const client = this.open(options);
    await client.connected();
    return client;
  }

  // visitor returns a connected client that has joined a new thread.
  async visitor(options, name = "Ayşe") {
    const client = await this.connect(options);
    const { thread_id } = await client.ok("join", { display_name: name });
    client.thread = thread_id;
    return client;
  }

  // agent returns a connected, signed-in client that has joined the agents' room.
  async agent(options) {
    const client = await this.connect({ ...options, cookie: options.cookie ?? (await this.signIn()) });
    await client.ok("admin_join");
    return client;
  }

  // stop stops the server, which must exit with 0 and must not have panicked.
  async stop() {
    for (const client of this.clients) client.socket.disconnect();
    if (this.child.exitCode === null && this.child.signalCode === null) this.child.kill("SIGTERM");
    const code = await withTimeout(this.ended, 15_000, "the server did not stop").catch((err) => {
      this.child.kill("SIGKILL");
      throw err;
    });
    rmSync(this.dir, { recursive: true, force: true });
    assert.equal(code, 0, `the server ended with ${code}; it printed:\n${this.output.slice(-4000)}`);
    assert.doesNotMatch(this.output, /panic/);
  }
}

function cookies(response) {
  const lines = (response.headers.get("set-cookie") ?? "").split(/,\s*(?=[\w.-]+=)/); // getSetCookie does not exist in every Node 18
  return lines.map((c) => c.split(";")[0]).filter((c) => !/^[^=]+=$/.test(c)).join("; ");
}

// Client records all events of a socket, so that none is missed between two waits.
class Client {
  seen = []; // [event, payload] in order of arrival, without those that next has returned
  #waiting = new Set();

  constructor(socket) {
    this.socket = socket;
    socket.onAny((event, payload) => {
      this.seen.push([event, payload]);
      for (const look of [...this.#waiting]) look();
    });
  }

  connected() {
    const { socket } = this;
    return withTimeout(new Promise((resolve, reject) => {
      if (socket.connected) resolve();
      socket.once("connect", resolve);
      socket.once("connect_error", reject);
    }), PATIENCE, "no connection");
  }

  // call emits with an ack callback and returns the ack.
  call(event, ...payload) {
    return withTimeout(new Promise((resolve) => this.socket.emit(event, ...payload, resolve)), PATIENCE, `no ack of ${event}`);
  }

  // ok calls and requires {ok: true}.
  async ok(event, ...payload) {
    const ack = await this.call(event, ...payload);
    assert.equal(ack?.ok, true, `${event} was refused: ${JSON.stringify(ack)}`);
    return ack;
  }

  // refused calls and requires {ok: false} with that code and a message.
  async refused(code, event, ...payload) {
    const ack = await this.call(event, ...payload);
    assert.equal(ack?.ok, false, `${event} was accepted: ${JSON.stringify(ack)}`);
    assert.equal(ack.error?.code, code, JSON.stringify(ack));
    assert.equal(typeof ack.error.message, "string");
    assert.notEqual(ack.error.message, "");
    return ack.error;
  }

  emit(event, ...payload) {
    this.socket.emit(event, ...payload);
  }

  // next removes and returns the first event with that name that matches, received before or within ms.
  next(event, fits = () => true, ms = PATIENCE) {
    let look;
    const found = new Promise((resolve) => {
      look = () => {
        const at = this.seen.findIndex(([name, payload]) => name === event && fits(payload));
        if (at < 0) return;
        const [[, payload]] = this.seen.splice(at, 1);
        resolve(payload);
      };
      this.#waiting.add(look);
      look();
    });
    return withTimeout(found, ms, `no ${event}; seen: ${JSON.stringify(this.seen).slice(0, 2000)}`)
      .finally(() => this.#waiting.delete(look));
  }

  // none waits a little and requires that no such event has arrived.
  async none(event, fits = () => true) {
    await sleep(250);
    const found = this.seen.filter(([name, payload]) => name === event && fits(payload));
    assert.deepEqual(found, [], `unexpected ${event}`);
  }

  clear() {
    this.seen = [];
  }

  close() {
    this.socket.disconnect();
  }
}

// includes asserts that a payload has fields with these values.
export function includes(payload, fields) {
  assert.deepEqual(Object.fromEntries(Object.keys(fields).map((name) => [name, payload[name]])), fields);
}

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export function withTimeout(promise, ms, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} within ${ms} ms`)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

// eventually repeats an attempt until holds() is true; for events that may be dropped by design.
export async function eventually(attempt, holds) {
  for (let i = 0; i < 200; i++) {
    await attempt();
    await sleep(50);
    if (holds()) return;
  }
  assert.fail("the condition never became true");
}
