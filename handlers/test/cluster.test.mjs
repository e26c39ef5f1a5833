// Several processes form one chat: messages reach the clients of all processes in the same order, and presence, blocks, sign-outs
// and rate limits are shared.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { cluster, eventually, GRACE, includes, sleep, start, transports } from "./harness.mjs";
import { postgres } from "./postgres-schema.mjs";
import { Gate } from "./services.mjs";

// SOHBET_CLUSTER_MESSAGES sets how many messages three clients write into one thread.
const MESSAGES = Number(process.env.SOHBET_CLUSTER_MESSAGES ?? 450);

for (const [name, transport] of Object.entries(transports)) {
  describe(`three processes over ${name}`, () => {
    let servers, cookie, agents;
    before(async () => {
      servers = await cluster(3);
      cookie = await servers[0].signIn();
      // the visitor's process has no agent, the two others have one each
      agents = await Promise.all([servers[1], servers[2]].map((s) => s.agent({ ...transport, cookie })));
    });
    after(() => Promise.all(servers.map((s) => s.stop())));

    it("all events of a conversation reach clients on other processes", async () => {
      const visitor = await servers[0].visitor(transport, "Ayşe");
      const thread_id = visitor.thread;
      for (const agent of agents) {
        assert.equal((await agent.next("thread_created", (t) => t.id === thread_id)).display_name, "Ayşe");
        await agent.next("user_online", (u) => u.thread_id === thread_id);
        await agent.ok("join_thread", { thread_id });
      }
      const { message } = await visitor.ok("message", { thread_id, text: "merhaba", client_id: "a1" });
      for (const agent of agents) {
        assert.deepEqual(await agent.next("message"), message);
        assert.deepEqual(await agent.next("message_from_visitor"), message);
        assert.equal((await agent.next("new_message_notification")).message_preview, "merhaba");
      }
      const { message: answer } = await agents[0].ok("message", { thread_id, text: "buyurun" });
      assert.deepEqual(await visitor.next("message"), answer);
      assert.deepEqual(await visitor.next("message_from_admin"), answer);
      assert.deepEqual(await agents[1].next("message_from_telegram"), answer);
      await visitor.none("message");
      await agents[0].none("message");

      await visitor.ok("typing", { thread_id });
      for (const agent of agents) assert.equal((await agent.next("typing")).typing, true);
      await agents[1].ok("typing", { thread_id, typing: false });
      assert.equal((await visitor.next("typing")).sender_type, "admin");
      await agents[0].none("typing");
      await agents[1].ok("read", { thread_id, last_id: message.id });
      includes(await visitor.next("read"), { thread_id, last_id: message.id, reader: "admin" });
      await visitor.ok("delivered", { thread_id, last_id: answer.id });
      for (const agent of agents) assert.equal((await agent.next("delivered")).last_id, answer.id);

      const again = await servers[2].connect(transport);
      await again.ok("rejoin", { thread_id });
      const { messages } = await again.ok("history", { thread_id, after_id: 0 });
      assert.deepEqual(messages, [message, answer]);
      const { message: repeated } = await again.ok("message", { thread_id, text: "merhaba", client_id: "a1" });
      assert.equal(repeated.id, message.id);
      await agents[0].none("message");

      await agents[0].ok("set_status", { thread_id, status: "closed" });
      assert.equal((await visitor.next("thread_status")).status, "closed");
      assert.equal((await agents[1].next("thread_updated", (u) => u.status === "closed")).status, "closed");
      const cleared = await servers[1].post("/api/messages/clear", { thread_id }, cookie);
      assert.equal(cleared.status, 200);
      assert.equal((await visitor.next("thread_cleared")).thread_id, thread_id);
      await again.next("thread_cleared");
      await agents[1].next("thread_cleared");
      visitor.close();
      again.close();
    });

    it("two agents and a visitor write into one thread and see one order", async () => {
      const visitor = await servers[0].visitor(transport);
      const thread_id = visitor.thread;
      const second = await servers[1].connect(transport); // the visitor's second tab
      await second.ok("rejoin", { thread_id });
      const told = await Promise.all([visitor, ...agents].map(async (client) => {
        const acks = [];
        const order = []; // ids in order of arrival, own messages by their acks
        client.socket.on("message", (m) => m.thread_id === thread_id && order.push(m.id));
        for (let i = 0; i < MESSAGES / 3; i++) {
          acks.push(new Promise((resolve, reject) => client.socket.emit("message", { thread_id, text: `${i}` }, (ack) => {
            if (!ack.ok) return reject(new Error(JSON.stringify(ack)));
            order.push(ack.message.id);
            resolve(ack.message.id);
          })));
        }
        await Promise.all(acks);
        return order;
      }));
      const all = [...new Set(told.flat())].sort((a, b) => a - b);
      assert.equal(all.length, MESSAGES);
      await eventually(async () => {}, () => told.every((order) => order.length >= MESSAGES));
      for (const order of told) assert.deepEqual(order, all);
      const listened = second.seen.filter(([event]) => event === "message").map(([, m]) => m.id);
      assert.deepEqual(listened, all);
    });
  });
}

describe("two processes", () => {
  let servers, cookie;
  before(async () => {
    servers = await cluster(2, { RATE_LIMIT_MESSAGE: "30/1m" });
    cookie = await servers[0].signIn();
  });
  after(() => Promise.all(servers.map((s) => s.stop())));

  it("rate limits are shared", async () => {
    const one = await servers[0].visitor();
    const thread_id = one.thread;
    for (let i = 0; i < 29; i++) await one.ok("message", { thread_id, text: "x" });
    const two = await servers[1].connect();
    await two.ok("rejoin", { thread_id });
    let sent = 0, refusal;
    await eventually(async () => {
      const ack = await two.call("message", { thread_id, text: "y" });
      if (ack.ok) sent++;
      else refusal = ack.error.code;
    }, () => refusal);
    assert.equal(refusal, "rate_limit_exceeded");
    assert.ok(sent < 10, `${sent} more were taken`);
  });

  it("signing out on one process ends the session's sockets on the other", async () => {
    const signedIn = await servers[0].signIn();
    const agent = await servers[1].agent({ cookie: signedIn });
    await fetch(`${servers[0].url}/logout`, { headers: { Cookie: signedIn }, redirect: "manual" });
    assert.equal((await agent.next("error")).type, "unauthorized");
  });

  it("switching to away, blocking and clearing everything reach the other process", async () => {
    const visitor = await servers[1].visitor();
    const thread_id = visitor.thread;
    await visitor.ok("message", { thread_id, text: "x" });
    const agent = await servers[0].agent({ cookie });
    await agent.ok("set_away", { away: true });
    assert.equal((await visitor.next("team_status")).away, true);
    await agent.ok("set_away", { away: false });
    await agent.ok("block_thread", { thread_id });
    assert.equal((await visitor.next("thread_blocked")).blocked, true);
    let ack;
    await eventually(async () => { ack = await visitor.call("message", { thread_id, text: "y" }); }, () => !ack.ok);
    assert.equal(ack.error.code, "blocked");
    await agent.ok("unblock_thread", { thread_id });
    assert.equal((await visitor.next("thread_blocked")).blocked, false);
    assert.equal((await servers[0].post("/api/messages/clear_all", {}, cookie)).status, 200);
    assert.equal((await visitor.next("thread_cleared")).thread_id, thread_id);
  });

  it("presence is known on every process, counted once for several tabs", async () => {
    const agents = await Promise.all(servers.map((s) => s.agent({ cookie })));
    const list = async (server) => (await fetch(`${server.url}/api/threads`, { headers: { Cookie: cookie } })).json();
    const visitor = await servers[0].visitor();
    const thread_id = visitor.thread;
    await visitor.ok("message", { thread_id, text: "x" });
    const tab = await servers[1].connect();
    await tab.ok("rejoin", { thread_id });
    for (const agent of agents) await agent.next("user_online", (u) => u.thread_id === thread_id);
    for (const server of servers) assert.equal((await list(server)).find((t) => t.id === thread_id).online, true);
    visitor.close();
    await agents[0].none("user_online", (u) => u.thread_id === thread_id);
    tab.close();
    for (const agent of agents) await agent.next("user_offline", (u) => u.thread_id === thread_id, GRACE);
    for (const server of servers) assert.equal((await list(server)).find((t) => t.id === thread_id).online, false);
  });

  it("/health reports Redis", async () => {
    for (const server of servers) {
      const health = await (await fetch(`${server.url}/health`)).json();
      assert.equal(health.checks.redis.status, "ok");
    }
  });
});

describe("a process that alone has lost Redis", () => {
  let gate;
  const servers = [];
  before(async () => {
    gate = await Gate.start(process.env.SOHBET_TEST_REDIS);
    const shared = postgres();
    for (const REDIS_URL of [process.env.SOHBET_TEST_REDIS, gate.url]) servers.push(await start({ ...shared, REDIS_URL }));
  });
  after(async () => {
    await Promise.all(servers.map((s) => s.stop()));
    gate.stop();
  });

  const redis = async (status) => {
    const end = Date.now() + 30_000;
    for (let is; is !== status; await sleep(50)) {
      assert.ok(Date.now() < end, `redis is ${is}, and not ${status}`);
      is = (await (await fetch(`${servers[1].url}/health`)).json()).checks.redis.status;
    }
  };

  it("sends resync to its clients when Redis is back, and they can fetch what they missed", async () => {
    const visitor = await servers[1].visitor();
    const thread_id = visitor.thread;
    const { message } = await visitor.ok("message", { thread_id, text: "merhaba" });
    const cookie = await servers[0].signIn();
    const agent = await servers[0].agent({ cookie });
    const console = await servers[1].agent({ cookie });
    await redis("ok");
    gate.close();
    await redis("warning");
    await agent.ok("join_thread", { thread_id });
    await agent.ok("read", { thread_id, last_id: message.id });
    const { message: answer } = await agent.ok("message", { thread_id, text: "buyurun" });
    await agent.ok("set_status", { thread_id, status: "closed" });
    assert.deepEqual(await visitor.next("message"), answer, "messages arrive without Redis");
    await visitor.none("read");
    gate.open();
    for (const client of [visitor, console]) await client.next("resync", () => true, 30_000);
    const now = await visitor.ok("rejoin", { thread_id });
    assert.equal(now.status, "closed");
    assert.equal(now.team_read_id, message.id);
    await redis("ok");
    await agent.ok("set_status", { thread_id, status: "active" });
    await visitor.next("thread_status", ({ status }) => status === "active"); // events arrive again
  });
});
