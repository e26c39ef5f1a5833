// Several agents: what visitors learn of them, who is said to have written, and what ends when an agent is disabled.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { cluster, includes, start, transports } from "./harness.mjs";

const MESSAGE = ["agent", "client_id", "content_text", "content_type", "created_at", "file_path", "file_url", "id", "sender", "sender_type", "thread_id", "type"];

// What visitors' sockets may receive: the fields of each event.
const VISITORS = {
  joined: ["thread_id"],
  message: MESSAGE,
  message_from_admin: MESSAGE,
  message_edited: [...MESSAGE, "edited_at", "rev"].sort(),
  typing: ["display_name", "sender_type", "thread_id", "typing"],
  read: ["last_id", "reader", "rev", "thread_id"],
  delivered: ["by", "last_id", "rev", "thread_id"],
  thread_status: ["rev", "status", "thread_id"],
  team_status: ["away", "hours", "switched", "typical_reply_seconds", "until"],
};

// member adds an agent and returns the Cookie header of a session.
async function member(server, name) {
  const password = server.command("agent", "add", name, "--email", `${name.toLowerCase()}@secret.example`).trim().split(" ").at(-1);
  let answer;
  for (let i = 0; i < 100; i++) { // a running server notices new agents within seconds
    answer = await server.post("/admin/login", { username: name, password });
    if (answer.status === 200) break;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  includes(await answer.json(), { success: true, otp_sent: false, redirect: "/admin" });
  return answer.headers.getSetCookie().map((c) => c.split(";")[0]).find((c) => c.startsWith("sohbet_session="));
}

const agents = async (server, cookie) => (await fetch(`${server.url}/api/agents`, { headers: { Cookie: cookie } })).json();

for (const [name, transport] of Object.entries(transports)) {
  describe(`agents over ${name}`, () => {
    let server, owner, ada;
    before(async () => {
      server = await start({ RATE_LIMIT_LOGIN: "off" });
      const cookies = [await server.signIn(), await member(server, "Ada")];
      [owner, ada] = await Promise.all(cookies.map(async (cookie) => Object.assign(await server.agent({ ...transport, cookie }), { cookie })));
    });
    after(() => server.stop());

    it("visitors see who wrote, and nothing else of an agent", async () => {
      const visitor = await server.visitor(transport, "Ayşe");
      const thread_id = visitor.thread;
      await visitor.ok("message", { thread_id, text: "merhaba" });
      await ada.ok("join_thread", { thread_id });
      const { message } = await ada.ok("message", { thread_id, text: "buyurun" });
      assert.deepEqual(message.agent, { id: message.agent.id, name: "Ada", avatar_url: "" });
      await owner.ok("message_to_visitor", { thread_id, text: "ben de buradayım" });
      await owner.ok("edit_message", { thread_id, id: message.id, text: "buyurun!" });
      await ada.ok("typing", { thread_id });
      await ada.ok("read", { thread_id, last_id: message.id });
      await ada.ok("note", { thread_id, text: "bir not" });
      await ada.ok("set_status", { thread_id, status: "closed" });
      for (const agent of [owner, ada]) await agent.ok("set_away", { away: true });
      await visitor.next("team_status");
      await visitor.none("note_added");
      const received = new Map(visitor.seen.map(([event, payload]) => [event, payload]));
      assert.ok(["message", "message_from_admin", "message_edited", "typing", "read", "thread_status"].every((event) => received.has(event)), [...received.keys()].join());
      for (const [event, payload] of visitor.seen) {
        assert.deepEqual(Object.keys(payload).sort(), VISITORS[event], event);
        assert.deepEqual(Object.keys(payload.agent ?? { avatar_url: 1, id: 1, name: 1 }).sort(), ["avatar_url", "id", "name"], event);
      }
      const { messages } = await visitor.ok("history", { thread_id, after_id: 0 });
      assert.deepEqual(messages.map((m) => m.agent?.name ?? null), [null, "Ada", "admin"]);
      for (const m of messages) assert.ok(!("edited_by" in m), "edited_by is for agents");
      assert.doesNotMatch(JSON.stringify([visitor.seen, messages]), /secret\.example|"online"|"role"/);
      for (const agent of [owner, ada]) await agent.ok("set_away", { away: false });
    });

    it("agents see who wrote, edited and noted", async () => {
      const visitor = await server.visitor(transport, "Bora");
      const thread_id = visitor.thread;
      const { message } = await ada.ok("message", { thread_id, text: "yanıt" });
      includes((await owner.next("message_from_telegram", (m) => m.id === message.id)).agent, { name: "Ada" });
      ada.clear();
      await owner.ok("edit_message", { thread_id, id: message.id, text: "yanıt 2" });
      const edited = await ada.next("message_edited");
      includes(edited, { content_text: "yanıt 2" });
      assert.deepEqual([edited.agent.name, edited.edited_by.name], ["Ada", "admin"]);
      await ada.none("message_edited");
      const { messages } = await ada.ok("history", { thread_id });
      assert.equal(messages[0].edited_by.name, "admin");
      const { note } = await ada.ok("note", { thread_id, text: "not" });
      assert.deepEqual([note.author, note.agent.name], ["Ada", "Ada"]);
      assert.deepEqual((await owner.next("note_added", (n) => n.note.thread_id === thread_id)).note, note);
    });

    it("agents see who closed, blocked, emptied and deleted", async () => {
      const visitor = await server.visitor(transport, "Cem");
      const thread_id = visitor.thread;
      await visitor.ok("message", { thread_id, text: "merhaba" });
      for (const status of ["closed", "active"]) {
        await ada.ok("set_status", { thread_id, status });
        assert.equal((await owner.next("thread_updated", (th) => th.id === thread_id && th.status === status && th.status_by)).status_by.name, "Ada");
      }
      await ada.ok("set_status", { thread_id, status: "closed" });
      await visitor.ok("message", { thread_id, text: "hâlâ buradayım" });
      await owner.next("thread_updated", (th) => th.id === thread_id && th.status === "active" && th.status_by === null);
      assert.equal((await owner.ok("facts", { thread_id })).facts.blocked_by, null);
      assert.equal((await ada.ok("block_thread", { thread_id })).block.agent.name, "Ada");
      assert.equal((await owner.ok("facts", { thread_id })).facts.blocked_by.name, "Ada");
      const { blocks } = await (await fetch(`${server.url}/api/blocks`, { headers: { Cookie: owner.cookie } })).json();
      assert.deepEqual(blocks.map((block) => block.agent.name), ["Ada"]);
      await owner.ok("unblock_thread", { thread_id });
      assert.equal((await owner.ok("facts", { thread_id })).facts.blocked_by, null);
      for (const route of ["/api/messages/clear", "/api/threads/delete"]) {
        assert.equal((await server.post(route, { thread_id }, ada.cookie)).status, 200);
        assert.equal((await owner.next("thread_cleared", (c) => c.thread_id === thread_id)).by.name, "Ada");
        assert.ok(!("by" in await visitor.next("thread_cleared")), "the visitor is not told who");
      }
    });

    it("a client that knows only join, message and typing has its conversation as before", async () => {
      const old = await server.connect(transport);
      old.emit("join", { display_name: "Eski" });
      const { thread_id } = await old.next("joined");
      old.emit("message", { thread_id, text: "merhaba" });
      old.emit("typing", { thread_id, typing: true });
      includes(await ada.next("message", (m) => m.thread_id === thread_id), { content_text: "merhaba", sender_type: "visitor", agent: null });
      ada.emit("message_to_visitor", { thread_id, text: "buyurun" });
      includes(await old.next("message_from_admin"), { content_text: "buyurun", sender_type: "admin" });
    });
  });
}

describe("agents on several processes", () => {
  let servers, cookie, owner;
  before(async () => {
    servers = await cluster(2);
    owner = await servers[0].signIn();
    cookie = await member(servers[0], "Ada");
  });
  after(() => Promise.all(servers.map((s) => s.stop())));

  it("an agent who is disabled at one process is disconnected at the other", async () => {
    const post = (body) => servers[0].post("/api/agents/update", body, owner);
    const console_ = await servers[1].agent({ cookie });
    const { id } = (await agents(servers[1], cookie)).find((a) => a.name === "Ada");
    includes(await (await post({ id, disabled: true })).json(), { id, disabled: true });
    includes(await console_.next("error"), { type: "unauthorized", reason: "disabled" });
    assert.equal((await fetch(`${servers[1].url}/api/me`, { headers: { Cookie: cookie } })).status, 401);
    includes(await (await post({ id, name: "Ada Lovelace", disabled: false })).json(), { id, disabled: false });
    const names = async () => (await agents(servers[1], owner)).map((a) => a.name);
    for (let i = 0; i < 50 && !(await names()).includes("Ada Lovelace"); i++) await new Promise((resolve) => setTimeout(resolve, 50));
    assert.deepEqual(await names(), ["admin", "Ada Lovelace"]);
    assert.equal((await fetch(`${servers[1].url}/api/me`, { headers: { Cookie: cookie } })).status, 401, "the session stays ended");
  });
});
