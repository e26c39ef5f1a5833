// Who is online, on several processes, while visitors move between them and a process, or its connection to Redis, fails. After each
// failure all consoles on all processes agree with the truth. SOHBET_STORM sets how many visitors reconnect at once (200).
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { cluster, postgres, sleep, start } from "./harness.mjs";
import { Gate } from "./services.mjs";

const STORM = Number(process.env.SOHBET_STORM ?? 200);
const ABSENT = 10_000; // ms after which a visitor without a socket is offline
const websocket = { transports: ["websocket"] };

// Console shows who is online, as the agents' page does: from the list that it reads when it connects, and from events that are newer.
class Console {
  states = new Map(); // thread → { online, version }
  offline = []; // threads whose visitor it has shown as gone

  static async open(server, cookie) {
    const console = new Console();
    console.server = server;
    console.cookie = cookie;
    console.agent = await server.connect({ ...websocket, cookie });
    const { socket } = console.agent;
    for (const [event, online] of [["user_online", true], ["user_offline", false]]) {
      socket.on(event, ({ thread_id, online_version = 0 }) => console.#take(thread_id, online, online_version));
    }
    console.agent.seen = { push() {} }; // thousands of events
    await console.agent.ok("admin_join");
    for (const row of await console.list()) console.#take(row.id, row.online, row.online_version ?? 0);
    return console;
  }

  async list() { return (await fetch(`${this.server.url}/api/threads?limit=1000`, { headers: { Cookie: this.cookie } })).json(); }

  #take(thread, online, version) {
    const known = this.states.get(thread);
    if (version && known?.version >= version) return;
    this.states.set(thread, { online, version });
    if (!online && known?.online) this.offline.push(thread);
  }

  // wrong returns the visitors whose state it shows incorrectly.
  wrong(visitors) { return visitors.filter((v) => Boolean(this.states.get(v.thread)?.online) !== v.online); }
}

class Visitor {
  left = 0; // when the last socket was closed
  away = 0; // the longest time without one

  static async join(server, message) {
    const visitor = new Visitor();
    visitor.server = server;
    visitor.client = await server.visitor(websocket);
    visitor.thread = visitor.client.thread;
    if (message) await visitor.client.ok("message", { thread_id: visitor.thread, text: "x" });
    return visitor;
  }

  get online() { return Boolean(this.client) || Date.now() < this.left + ABSENT; }

  leave() {
    this.client.close();
    this.client = null;
    this.left = Date.now();
  }

  async move(server) {
    if (this.client) this.leave();
    this.server = server;
    this.client = await server.connect(websocket);
    await this.client.ok("rejoin", { thread_id: this.thread });
    this.away = Math.max(this.away, Date.now() - this.left);
  }
}

// agree waits until all consoles, and the lists of all processes, show the truth, and checks that they stay so.
async function agree(t, consoles, visitors, since = Date.now()) {
  await sleep(Math.max(0, ...visitors.map((v) => v.client ? 0 : v.left + ABSENT + 100 - Date.now())));
  const due = Math.max(since, ...visitors.map((v) => v.client ? 0 : v.left + ABSENT));
  let wrong;
  const look = () => { wrong = consoles.map((c) => c.wrong(visitors).length); return wrong.every((n) => n === 0); };
  const details = () => JSON.stringify(consoles.map((c) => c.wrong(visitors).map((v) => ({
    thread: v.thread, online: v.online, at: v.server.url, away: v.away, shown: c.states.get(v.thread), by: c.server.url,
  })))).slice(0, 4000);
  for (const end = Date.now() + 15_000; !look() && Date.now() < end; await sleep(20));
  t.diagnostic(`wrong on the consoles: ${wrong} of ${visitors.length}, ${Date.now() - due} ms after the end`);
  assert.ok(look(), `wrong on the consoles: ${wrong}; ${details()}`);
  await sleep(300);
  assert.ok(look(), `wrong again: ${wrong}; ${details()}`);
  for (const console of consoles) {
    const online = new Map((await console.list()).map((row) => [row.id, row.online]));
    for (const v of visitors) assert.equal(online.get(v.thread) ?? v.online, v.online, "the list");
  }
}

const opened = async (servers) => {
  const cookie = await servers[0].signIn();
  return Promise.all(servers.map((s) => Console.open(s, cookie)));
};

// All run at once, because they mostly wait.
describe("presence", { concurrency: true }, () => {
  describe("of processes that alone have lost Redis", { concurrency: 1 }, () => {
    const servers = [];
    const gates = [];
    before(async () => {
      const shared = postgres();
      const url = process.env.SOHBET_TEST_REDIS;
      for (let i = 0; i < 2; i++) gates.push(await Gate.start(url));
      for (const REDIS_URL of [url, url, ...gates.map((g) => g.url)]) servers.push(await start({ ...shared, REDIS_URL }));
      for (const server of servers) await redis(server, "ok");
    });
    after(async () => {
      await Promise.all(servers.map((s) => s.stop()));
      for (const gate of gates) gate.stop();
    });

    const redis = async (server, status) => {
      for (const end = Date.now() + 30_000; ; await sleep(50)) {
        const is = (await (await fetch(`${server.url}/health`)).json()).checks.redis.status;
        if (is === status) return;
        assert.ok(Date.now() < end, `redis is ${is}, and not ${status}`);
      }
    };

    it("is right while everything is late", async (t) => {
      for (const gate of gates) gate.slow(300);
      const consoles = await opened(servers);
      const visitors = await Promise.all(servers.map((s) => Visitor.join(s, true)));
      for (let round = 1; round <= 3; round++) for (const [i, v] of visitors.entries()) await v.move(servers[(i + round) % servers.length]);
      for (const gate of gates) gate.slow(0);
      await agree(t, consoles, visitors);
      for (const console of consoles) assert.deepEqual(console.offline, []);
      for (const v of visitors) v.leave();
    });

    it("is right when a visitor whose arrival a process missed moves to it before it has compared its state", async (t) => {
      const first = servers[0], alone = servers.at(-1);
      const consoles = await opened(servers);
      gates[1].close();
      await redis(alone, "warning");
      const visitor = await Visitor.join(first, true);
      gates[1].slow(300);
      gates[1].open();
      await redis(alone, "ok");
      await visitor.move(alone);
      gates[1].slow(0);
      await agree(t, consoles, [visitor]);
      visitor.leave();
    });

    it("is right again after one was cut off, and for the other nothing passed and its old connections stay dead", async (t) => {
      const [a, b, ...cut] = servers;
      const join = (server) => Visitor.join(server, true);
      const visitors = [await join(a)], moves = [];
      for (const alone of cut) { // everything that visitors can do during an outage
        const [toOthers, fromOthers, away, back, gone, goneElsewhere] = await Promise.all([alone, a, alone, b, alone, b].map(join));
        visitors.push(await join(alone), toOthers, fromOthers, away, back, gone, goneElsewhere);
        moves.push({ alone, toOthers, fromOthers, away, back, gone, goneElsewhere });
      }
      const consoles = await opened(servers);
      await agree(t, consoles, visitors);
      gates[0].close();
      gates[1].freeze();
      await redis(cut[0], "warning");
      for (const m of moves) {
        await m.toOthers.move(a);
        await m.fromOthers.move(m.alone);
        await m.away.move(b);
        await m.back.move(m.alone);
        m.gone.leave();
        m.goneElsewhere.leave();
        visitors.push(await join(m.alone), await join(a));
        consoles.push(await Console.open(m.alone, consoles[0].cookie)); // knows only what its process knows
      }
      await sleep(ABSENT + 500);
      for (const m of moves) {
        await m.away.move(m.alone);
        await m.back.move(b);
      }
      gates[0].open();
      gates[1].thaw({ lose: true });
      await agree(t, consoles, visitors);
      const moved = moves.map((m) => m.toOthers.thread);
      for (const console of consoles.slice(0, 2)) assert.ok(!console.offline.some((id) => moved.includes(id)), "told to be offline though they had moved");
    });
  });

  describe("when a process is frozen", () => {
    let servers;
    before(async () => { servers = await cluster(3); });
    after(() => Promise.all(servers.map((s) => s.stop())));

    it("a frozen process does not claim visitors that it no longer has", async (t) => {
      const [a, b, frozen] = servers;
      const join = (server) => Visitor.join(server, true);
      const [stays, moved, gone, other] = [await join(frozen), await join(frozen), await join(frozen), await join(a)];
      const visitors = [stays, moved, gone, other];
      const consoles = await opened(servers);
      await agree(t, consoles, visitors);
      frozen.child.kill("SIGSTOP");
      const [first, second] = consoles;
      try {
        await moved.move(b);
        gone.leave();
        for (const end = Date.now() + 30_000; ![first, second].every((c) => c.offline.includes(gone.thread)); await sleep(50)) {
          assert.ok(Date.now() < end, "the others did not notice that the process is frozen");
        }
      } finally {
        frozen.child.kill("SIGCONT");
      }
      const woken = Date.now();
      await agree(t, consoles, visitors, woken);
      for (const console of [first, second]) {
        assert.equal(console.offline.filter((id) => id === gone.thread).length, 1, "told once");
        assert.ok(!console.offline.includes(moved.thread) && !console.offline.includes(other.thread));
      }
      assert.ok(!consoles[2].offline.includes(moved.thread));
      await sleep(Math.max(0, woken + ABSENT + 1000 - Date.now())); // until the process that was frozen gives up those who left meanwhile
      await agree(t, consoles, visitors);
      assert.equal(first.offline.filter((id) => id === gone.thread).length, 1, "told once");
      for (const v of visitors) if (v.client) v.leave();
    });

  });

  describe("when all visitors reconnect at once", () => {
    let servers;
    before(async () => { servers = await cluster(3); });
    after(() => Promise.all(servers.map((s) => s.stop())));

    it(`a storm of ${STORM} reconnects leaves every console right`, async (t) => {
      const visitors = [];
      const inBatches = async (list, f) => {
        for (let i = 0; i < list.length; i += 250) await Promise.all(list.slice(i, i + 250).map(f));
      };
      await inBatches(Array.from({ length: STORM }, (_, i) => i), async (i) => visitors.push(await Visitor.join(servers[i % 3], false)));
      const consoles = await opened(servers);
      consoles.forEach((c) => { for (const v of visitors) c.states.set(v.thread, { online: true, version: 0 }); });
      await agree(t, consoles, visitors);
      const began = Date.now();
      for (let round = 1; round <= 2; round++) {
        for (const v of visitors) if (v.client) v.leave();
        await inBatches(visitors.slice(round), (v) => v.move(servers[Math.floor(Math.random() * 3)]));
      }
      t.diagnostic(`two rounds took ${Date.now() - began} ms`);
      const [killed] = servers.splice(1, 1);
      killed.child.kill("SIGKILL"); // its visitors come back to the others, except the first
      await killed.ended;
      const [lost, ...moving] = visitors.filter((v) => v.client && v.server === killed);
      lost.leave();
      await inBatches(moving, (v) => v.move(servers[0]));
      const moved = Date.now();
      const left = visitors.filter((v) => v.client).slice(0, Math.ceil(STORM / 20));
      for (const v of left) v.leave();
      await agree(t, [consoles[0], consoles[2]], visitors, moved);
      const stayed = new Set(visitors.filter((v) => v.client && v.away < ABSENT / 2).map((v) => v.thread));
      for (const console of [consoles[0], consoles[2]]) assert.equal(console.offline.filter((id) => stayed.has(id)).length, 0);
      for (const console of [consoles[0], consoles[2]]) assert.equal(console.offline.filter((id) => id === lost.thread).length, 1, "told once");
    });
  });
});
