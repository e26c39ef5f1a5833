// 10,000 events in one tick in each direction: none is lost, duplicated or out of order. Over WebSocket, over polling, and during
// the upgrade from polling to WebSocket.
import assert from "node:assert/strict";
import { once } from "node:events";
import { after, before, describe, it } from "node:test";
import { io } from "socket.io-client";
import { build, sleep, start, transports, withTimeout } from "./harness.mjs";
import { started } from "./processes.mjs";

const N = 10_000;
const LIMIT = 60_000; // ms
const numbers = Array.from({ length: N }, (_, i) => i);
const ways = { ...transports, "the upgrade": {} };

// The upgrade takes a few milliseconds, so bursts are started at different times after the connection (ms).
const moments = (name) => (name === "the upgrade" ? [0, 1, 2, 3, 4, 6, 8, 12] : [0]);
const endsOn = (name) => (name === "polling" ? "polling" : "websocket");

// inOrder asserts that got is exactly 0, 1, 2, …, and reports the first deviation without printing ten thousand numbers.
function inOrder(got, what) {
  const at = numbers.findIndex((n) => got[n] !== n);
  assert.equal(at, -1, `${what}: number ${got[at]} in place ${at}, ${got.length} in all`);
  assert.equal(got.length, N, what);
}

describe("the realtime layer alone", () => {
  let child, url;
  before(async () => {
    child = started(build("./bench/server"), ["-port", "0"], { stdio: ["ignore", "pipe", "inherit"] });
    const [line] = await once(child.stdout.setEncoding("utf8"), "data");
    url = `http://${/listening (\S+)/.exec(line)[1]}`;
  });
  after(() => child.kill("SIGTERM") && once(child, "exit"));

  for (const [name, options] of Object.entries(ways)) {
    // each runs the burst on a new connection for each start time, and checks that the expected transport was used.
    const each = (burst) => async () => {
      for (const moment of moments(name)) {
        const socket = io(url, { forceNew: true, reconnection: false, ...options });
        try {
          await withTimeout(once(socket, "connect"), 10_000, "no connection");
          await sleep(moment);
          await burst(socket);
          for (let i = 0; i < 100 && socket.io.engine.transport.name !== endsOn(name); i++) await sleep(20);
          assert.equal(socket.io.engine.transport.name, endsOn(name));
        } finally {
          socket.disconnect();
        }
      }
    };

    it(`from the client over ${name}`, each(async (socket) => {
      for (const n of numbers) socket.emit("up", n);
      const report = new Promise((resolve) => socket.emit("up-report", (...counts) => resolve(counts)));
      assert.deepEqual(await withTimeout(report, LIMIT, "no report"), [N, 0]);
    }));

    it(`from the server over ${name}`, each(async (socket) => {
      const got = [];
      const all = new Promise((resolve) => socket.on("seq", (n) => got.push(n) === N && resolve()));
      socket.emit("down", N);
      await withTimeout(all, LIMIT, "not all came").catch(() => {}); // inOrder reports more details
      await sleep(50); // for events that should not arrive
      inOrder(got, "received");
    }));

    it(`echoed with acks over ${name}`, each(async (socket) => {
      const acked = [];
      const all = Promise.all(numbers.map((n) => new Promise((resolve) => socket.emit("echo", n, (back) => resolve(acked.push(back))))));
      await withTimeout(all, LIMIT, "not all acked").catch(() => {});
      inOrder(acked, "acks");
    }));
  }
});

for (const [name, options] of Object.entries(ways)) {
  describe(`the whole server over ${name}`, () => {
    let server;
    before(async () => (server = await start()));
    after(() => server.stop());

    it("stores, acks and delivers a visitor's messages in the order they were typed", async () => {
      const visitor = await server.visitor(options);
      const tab = await server.connect(options);
      await tab.ok("rejoin", { thread_id: visitor.thread });
      const received = [];
      const all = new Promise((resolve) => tab.socket.on("message", (m) => received.push(m) === N && resolve()));
      const acks = [];
      const acked = Promise.all(numbers.map((n) => new Promise((resolve) => {
        visitor.socket.emit("message", { thread_id: visitor.thread, text: String(n), client_id: `n${n}` }, (ack) => resolve(acks.push(ack)));
      })));
      await withTimeout(Promise.all([all, acked]), LIMIT, "not all came").catch(() => {});
      assert.deepEqual(acks.find((a) => !a.ok), undefined);
      inOrder(acks.map((a) => Number(a.message.content_text)), "acks");
      inOrder(received.map((m) => Number(m.content_text)), "delivered");
      const ids = acks.map((a) => a.message.id);
      assert.ok(ids.every((id, i) => i === 0 || id > ids[i - 1]), "ids grow");

      const stored = [acks[0].message];
      for (let after_id = ids[0], more = true; more; after_id = stored.at(-1).id) {
        const page = await tab.ok("history", { thread_id: visitor.thread, after_id, limit: 100 });
        stored.push(...page.messages);
        more = page.has_more;
      }
      inOrder(stored.map((m) => Number(m.content_text)), "stored");
    });
  });
}
