// Failover: three processes behind nginx under load, while a process, Redis and PostgreSQL are stopped, frozen and started again.
// All acknowledged messages reach all clients, once and in order. SOHBET_TROUBLE_SECONDS sets for how long Redis and a process are frozen (5);
// other interruptions last a fifth of that.
import assert from "node:assert/strict";
import { randomBytes, randomUUID } from "node:crypto";
import { after, before, describe, it } from "node:test";
import { io } from "socket.io-client";
import { sleep, start, withTimeout } from "./harness.mjs";
import { freePort } from "./processes.mjs";
import { Postgres, ReverseProxy, Redis } from "./services.mjs";

const FROZEN = 1000 * Number(process.env.SOHBET_TROUBLE_SECONDS ?? 5);
const VISITORS = 4;

// Talker is a visitor or an agent who writes continuously and records the received messages like a page: after each connect it
// fetches missed messages, and handles new events only when those are complete.
class Talker {
  received = new Map(); // thread → ids in order of arrival
  acked = [];
  faults = [];
  #late = null; // events received before the history is complete
  #read = new Map(); // thread → newest id of the history on this connection; such messages may also arrive as events

  constructor(url, transport, cookie) {
    this.agent = Boolean(cookie);
    this.socket = io(url, {
      forceNew: true, reconnectionDelay: 100, reconnectionDelayMax: 500, timeout: 4000, transports: [transport],
      extraHeaders: { Cookie: [cookie, `sohbet_at=${randomUUID()}`].filter(Boolean).join("; ") },
    });
    this.socket.on("message", (m) => (this.#late ? this.#late.push(m) : this.#receive(m)));
    this.socket.on("connect", () => this.#connected());
    this.socket.on("disconnect", () => (this.#late = []));
  }

  follow(thread) { if (!this.received.has(thread)) this.received.set(thread, []); }

  #receive(m, again = false, how = "event") {
    const ids = this.received.get(m.thread_id);
    if (!ids) return;
    if (m.id > (ids.at(-1) ?? 0)) ids.push(m.id);
    else if (!again && m.id > (this.#read.get(m.thread_id) ?? 0)) this.faults.push(`${this.agent ? "agent" : "visitor"} ${this.socket.io.engine.transport.name} ${how} (${m.sender_type}): `+`${m.id} ${ids.includes(m.id) ? "came twice" : `came after ${ids.at(-1)}`}`);
  }

  // insert records a message whose first ack on this connection came in sequence, but after its timeout.
  #insert(m) {
    const ids = this.received.get(m.thread_id);
    if (!ids.includes(m.id)) ids.splice(ids.findLastIndex((id) => id < m.id) + 1, 0, m.id);
  }

  // call returns the ack. then is called with it synchronously, before later events are handled.
  call(event, payload, then) {
    return new Promise((resolve) => this.socket.timeout(4000).emit(event, payload, (err, ack = { ok: false }) => {
      if (!err && ack.ok) then?.(ack);
      resolve(err ? { ok: false } : ack);
    }));
  }

  async #connected() {
    const { id } = this.socket;
    this.#late = [];
    const here = () => this.socket.connected && this.socket.id === id;
    if (this.agent) while (here() && !(await this.call("admin_join")).ok) await sleep(200);
    for (const [thread_id, ids] of this.received) {
      if (!this.agent) while (here() && !(await this.call("rejoin", { thread_id })).ok) await sleep(200);
      for (let more = true; more && here();) {
        const page = await this.call("history", { thread_id, after_id: ids.at(-1) ?? 0, limit: 100 });
        if (page.ok) for (const m of page.messages) this.#receive(m, true);
        else await sleep(200);
        this.#read.set(thread_id, ids.at(-1) ?? 0);
        more = !page.ok || page.has_more;
      }
    }
    if (!here()) return;
    const late = this.#late;
    this.#late = null;
    for (const m of late) this.#receive(m, true);
    this.ready?.();
  }

  connected() { return new Promise((resolve) => (this.ready = resolve)); }

  // write sends messages one after the other until over.over is set; each is repeated until it is acknowledged.
  async write(threads, over) {
    for (let n = 0; !over.over; n++) {
      const thread_id = threads[n % threads.length];
      const message = { thread_id, text: `${n}`, client_id: randomUUID() };
      for (let tries = 0, connection; ;) {
        const ready = this.socket.connected && !this.#late;
        if (tries === 0) connection = this.socket.id;
        const ack = ready ? await this.call("message", message, ({ message: m }) => {
          this.acked.push([thread_id, m.id]);
          if (this.#late) this.#late.push(m);
          else if (tries > 0 && connection === this.socket.id) this.#insert(m);
          else this.#receive(m, tries > 0 && this.received.get(thread_id).includes(m.id), `ack, try ${tries}`); // the first try may have been stored and received with the history
        }) : { ok: false };
        if (ack.ok || over.given) break;
        tries += ready;
        await sleep(100);
      }
      await sleep(10);
    }
  }
}

describe("three processes behind nginx", () => {
  let postgres, redis, nginx, ports, settings, cookie;
  const servers = [];
  before(async () => {
    [postgres, redis] = await Promise.all([Postgres.start(), Redis.start()]);
    settings = { DATABASE_URL: postgres.url, SECRET_KEY: randomBytes(32).toString("hex"), REDIS_URL: redis.url, TRUSTED_PROXIES: "127.0.0.1" };
    ports = await Promise.all([1, 2, 3].map(freePort));
    for (const PORT of ports) servers.push(await start({ ...settings, PORT: `${PORT}` }));
    nginx = await ReverseProxy.start("nginx", ports);
    cookie = await servers[0].signIn();
  });
  after(async () => {
    try {
      await Promise.all(servers.map((s) => s.stop()));
    } finally {
      await Promise.all([nginx, redis, postgres].map((service) => service?.stop()));
    }
  });

  const health = async (server) => {
    const answer = await fetch(`${server.url}/health`);
    return [answer.status, (await answer.json()).checks.redis.status];
  };
  const becomes = async (what, ok) => {
    for (const end = Date.now() + 30_000; !(await ok()); await sleep(200)) assert.ok(Date.now() < end, `this never happened: ${what}`);
  };

  const troubles = {
    async "a process is killed"() {
      servers[1].child.kill("SIGKILL");
      await servers[1].ended;
      await sleep(FROZEN / 5);
      servers[1] = await start({ ...settings, PORT: `${ports[1]}` });
    },
    async "a process is replaced"() {
      await servers[2].stop();
      servers[2] = await start({ ...settings, PORT: `${ports[2]}` });
    },
    async "a process is frozen"() {
      servers[0].child.kill("SIGSTOP");
      try {
        await sleep(FROZEN);
      } finally {
        servers[0].child.kill("SIGCONT");
      }
    },
    async "Redis is killed, and started again"() {
      await redis.stop("SIGKILL");
      await sleep(FROZEN / 5);
      await redis.again();
    },
    async "Redis is frozen"() {
      redis.freeze();
      try {
        await sleep(FROZEN);
        await becomes("Redis is missed", async () => (await Promise.all(servers.map(health))).every(([status, redis]) => status === 200 && redis === "warning"));
      } finally {
        redis.thaw();
      }
    },
    async "PostgreSQL is restarted"() {
      await postgres.stop();
      await sleep(FROZEN / 5);
      postgres.again();
    },
  };

  it("all clients receive all acknowledged messages, once and in order, despite failures", async (t) => {
    const transport = (n) => (n % 2 ? "websocket" : "polling");
    const visitors = [];
    for (let n = 0; n < VISITORS; n++) {
      const visitor = new Talker(nginx.url, transport(n));
      await withTimeout(visitor.connected(), 10_000, "no connection");
      const { thread_id } = await visitor.call("join", { display_name: `Visitor ${n}` });
      visitor.thread = thread_id;
      visitor.follow(thread_id);
      visitors.push(visitor);
    }
    const threads = visitors.map((v) => v.thread);
    const agents = [0, 1, 2].map((n) => new Talker(servers[n].url, transport(n + 1), cookie)); // one on each process
    for (const agent of agents) for (const thread of threads) agent.follow(thread);
    await Promise.all(agents.map((a) => withTimeout(a.connected(), 10_000, "no connection")));

    const over = { over: false };
    t.after(() => {
      over.over = over.given = true;
      for (const talker of [...visitors, ...agents]) talker.socket.disconnect();
    });
    const writing = [...visitors.map((v) => v.write([v.thread], over)), ...agents.map((a) => a.write(threads, over))];
    const count = () => [...visitors, ...agents].reduce((n, talker) => n + talker.acked.length, 0);
    for (const [name, trouble] of Object.entries(troubles)) {
      const before = count();
      await sleep(500);
      await trouble();
      await becomes("Redis is used again", async () => (await Promise.all(servers.map(health))).every(([status, redis]) => status === 200 && redis === "ok"));
      await sleep(500);
      t.diagnostic(`${name}: ${count() - before} messages acked`);
      assert.deepEqual([...visitors, ...agents].flatMap((talker) => talker.faults), [], name);
    }
    over.over = true;
    await withTimeout(Promise.all(writing), 30_000, "not everything was acked");

    const acked = new Map(threads.map((thread) => [thread, []]));
    for (const talker of [...visitors, ...agents]) for (const [thread, id] of talker.acked) acked.get(thread).push(id);
    for (const ids of acked.values()) ids.sort((a, b) => a - b);
    const missing = (talker, thread) => acked.get(thread).filter((id) => !talker.received.get(thread).includes(id));
    for (const thread of threads) {
      const talkers = [visitors.find((v) => v.thread === thread), ...agents];
      await becomes("all clients have received all messages", () => talkers.every((talker) => missing(talker, thread).length === 0));
      for (const talker of talkers) {
        const ids = talker.received.get(thread);
        assert.deepEqual(ids, [...new Set(ids)].sort((a, b) => a - b));
        assert.deepEqual(ids, talkers[1].received.get(thread), "all clients have received the same");
      }
      assert.equal(new Set(acked.get(thread)).size, acked.get(thread).length, "every acknowledged message has its own id");
    }
    assert.deepEqual([...visitors, ...agents].flatMap((talker) => talker.faults), []);
    t.diagnostic(`${count()} messages in all`);
  });
});
