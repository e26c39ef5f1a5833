// Events in both directions (docs/protocol.md, "Client events" and "Server events"), over both transports and on both databases.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, describe, it } from "node:test";
import { eventually, GRACE, includes, postgres, start, transports } from "./harness.mjs";

const uuid4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const stamp = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

function assertMessage(m, want) {
  assert.equal(typeof m.id, "number");
  assert.match(m.created_at, stamp);
  assert.ok(Math.abs(Date.parse(m.created_at) - Date.now()) < 60_000, m.created_at);
  assert.equal(m.sender, m.sender_type);
  assert.equal(m.type, m.content_type);
  assert.equal(m.file_path ?? "", m.file_url ?? "");
  for (const [key, value] of Object.entries(want)) assert.equal(m[key], value, key);
}

const variants = [
  ["polling", transports.polling, () => ({})],
  ["websocket", transports.websocket, () => ({})],
  ["websocket, on PostgreSQL", transports.websocket, postgres],
];

for (const [name, transport, database] of variants) {
  describe(`events over ${name}`, () => {
    let server, cookie, agent, other;
    before(async () => {
      server = await start(database());
      cookie = await server.signIn();
      agent = await server.agent({ ...transport, cookie });
      other = await server.agent({ ...transport, cookie });
    });
    after(() => server.stop());

    it("join creates a thread, answers joined, and notifies the agents", async () => {
      const visitor = await server.connect(transport);
      const ack = await visitor.ok("join", { display_name: "Ayşe", phone_number: "+90 555 000 00 00", page_url: "https://a.example/x", locale: "tr" });
      assert.match(ack.thread_id, uuid4);
      assert.equal(ack.resumed, false);
      assert.deepEqual(await visitor.next("joined"), { thread_id: ack.thread_id });
      await visitor.ok("message", { thread_id: ack.thread_id, text: "merhaba" });
      const created = await agent.next("thread_created", (t) => t.id === ack.thread_id);
      assert.equal(created.display_name, "Ayşe");
      assert.equal(created.status, "active");
      assert.match(created.created_at, stamp);
      await agent.none("thread_created", (t) => t.id === ack.thread_id);
      const online = await agent.next("user_online", (t) => t.thread_id === ack.thread_id);
      assert.equal(online.display_name, "Ayşe");
      assert.match(online.last_seen, stamp);
    });

    it("join with a known thread resumes it, rejoin too", async () => {
      const visitor = await server.visitor(transport);
      await visitor.ok("message", { thread_id: visitor.thread, text: "one" });
      visitor.close();
      const again = await server.connect(transport);
      const ack = await again.ok("join", { display_name: "Ayşe", thread_id: visitor.thread });
      assert.deepEqual([ack.thread_id, ack.resumed], [visitor.thread, true]);
      again.close();
      const third = await server.connect(transport);
      const back = await third.ok("rejoin", { thread_id: visitor.thread });
      assert.deepEqual([back.thread_id, back.resumed], [visitor.thread, true]);
      assert.deepEqual(await third.next("joined"), { thread_id: visitor.thread });
      const { messages } = await third.ok("history", { thread_id: visitor.thread });
      assert.deepEqual(messages.map((m) => m.content_text), ["one"]);
    });

    it("rejoin of an unknown thread fails, and a message creates it", async () => {
      const gone = randomUUID();
      const visitor = await server.connect(transport);
      for (const thread_id of [gone, "not-a-uuid"]) {
        visitor.emit("rejoin", { thread_id });
        const failed = await visitor.next("rejoin_failed");
        assert.equal(failed.thread_id, thread_id);
        assert.equal(typeof failed.message, "string");
      }
      await visitor.none("joined");
      visitor.emit("message", { thread_id: gone, text: "still here" });
      const received = await agent.next("message_from_visitor", (m) => m.thread_id === gone);
      assertMessage(received, { content_text: "still here", sender_type: "visitor" });
      const { messages } = await visitor.ok("history", { thread_id: gone });
      assert.equal(messages.length, 1);
    });

    it("a visitor's message reaches the agents under every event name, and the visitor's other tab, but not its sender", async () => {
      const visitor = await server.visitor(transport, "Uzun İsimli Ziyaretçi");
      const tab = await server.connect(transport);
      await tab.ok("rejoin", { thread_id: visitor.thread });
      const text = `${"🙂".repeat(60)}<script>alert(1)</script>  `;
      const { message } = await visitor.ok("message", { thread_id: visitor.thread, text, client_id: "c-1" });
      const want = { thread_id: visitor.thread, sender_type: "visitor", content_type: "text", content_text: text, client_id: "c-1" };
      assertMessage(message, want);
      const mine = (m) => m.thread_id === visitor.thread;
      for (const [who, event] of [[agent, "message"], [agent, "message_from_visitor"], [other, "message"], [tab, "message"]]) {
        const received = await who.next(event, mine);
        assertMessage(received, { ...want, id: message.id });
      }
      const note = await agent.next("new_message_notification", mine);
      assert.equal(note.display_name, "Uzun İsimli Ziyaretçi");
      assert.ok([...note.message_preview].length <= 50);
      assert.ok(note.message_preview.startsWith("🙂🙂🙂"));
      assert.match(note.timestamp, stamp);
      for (const event of ["message", "message_from_visitor", "new_message_notification"]) {
        await visitor.none(event);
        assert.equal(tab.seen.filter(([e]) => e === event).length, 0, `the other tab got a second ${event}`);
      }
      for (const event of ["message", "message_from_visitor", "new_message_notification"]) await agent.none(event, mine);
    });

    it("an agent's message reaches the visitor under both event names, and the other consoles, but not its sender", async () => {
      const visitor = await server.visitor(transport);
      await visitor.ok("message", { thread_id: visitor.thread, text: "hi" });
      const { message } = await agent.ok("message", { thread_id: visitor.thread, content_text: "hello", content_type: "text" });
      const want = { id: message.id, thread_id: visitor.thread, sender_type: "admin", content_text: "hello" };
      assertMessage(message, want);
      const mine = (m) => m.id === message.id;
      for (const event of ["message", "message_from_admin"]) assertMessage(await visitor.next(event, mine), want);
      for (const event of ["message", "message_from_telegram"]) assertMessage(await other.next(event, mine), want);
      for (const event of ["message", "message_from_admin"]) await visitor.none(event, mine);
      for (const event of ["message", "message_from_admin", "message_from_telegram"]) {
        await agent.none(event, (m) => m.thread_id === visitor.thread && m.sender_type !== "visitor");
      }
    });

    it("the older event names for sending messages work as well", async () => {
      const visitor = await server.visitor(transport);
      for (const event of ["message_to_admin", "message_from_visitor"]) {
        const { message } = await visitor.ok(event, { thread_id: visitor.thread, text: event });
        assertMessage(message, { sender_type: "visitor", content_text: event });
        assertMessage(await agent.next("message_from_visitor", (m) => m.id === message.id), { content_text: event });
      }
      const { message } = await agent.ok("message_to_visitor", { thread_id: visitor.thread, text: "back" });
      assertMessage(await visitor.next("message_from_admin", (m) => m.id === message.id), { content_text: "back", sender_type: "admin" });
    });

    it("a retry with the same client_id is stored and delivered once", async () => {
      const visitor = await server.visitor(transport);
      const send = () => visitor.ok("message", { thread_id: visitor.thread, text: "once", client_id: "retry-1" });
      const first = await send();
      const again = await send();
      assert.deepEqual(again.message, first.message);
      const mine = (m) => m.thread_id === visitor.thread;
      await agent.next("message", mine);
      await agent.none("message", mine);
      const { messages } = await visitor.ok("history", { thread_id: visitor.thread });
      assert.equal(messages.length, 1);
      const elsewhere = await server.visitor(transport);
      const own = await elsewhere.ok("message", { thread_id: elsewhere.thread, text: "mine", client_id: "retry-1" });
      assert.notEqual(own.message.id, first.message.id, "a client_id counts within its thread only");
    });

    it("the server ignores a sender type given by the client", async () => {
      const visitor = await server.visitor(transport);
      const { message } = await visitor.ok("message", { thread_id: visitor.thread, text: "x", sender_type: "admin", sender: "system", id: 7 });
      assertMessage(message, { sender_type: "visitor" });
    });

    it("typing reaches the other side only", async () => {
      const visitor = await server.visitor(transport, "Typist");
      const tell = (who, payload) => who.emit("typing", { thread_id: visitor.thread, ...payload });
      for (const [payload, typing] of [[{}, true], [{ typing: false }, false], [{ typing: true }, true]]) {
        agent.clear();
        await eventually(() => tell(visitor, payload), () => agent.seen.some(([e]) => e === "typing"));
        assert.deepEqual(await agent.next("typing"), { thread_id: visitor.thread, sender_type: "visitor", display_name: "Typist", typing });
      }
      await eventually(() => tell(agent, { typing: true }), () => visitor.seen.some(([e]) => e === "typing"));
      const received = await visitor.next("typing");
      assert.deepEqual([received.thread_id, received.sender_type, received.typing], [visitor.thread, "admin", true]);
      visitor.clear();
      tell(visitor, {});
      await visitor.none("typing");
      const { messages } = await visitor.ok("history", { thread_id: visitor.thread });
      assert.deepEqual(messages, []);
    });

    it("history pages both ways, oldest first", async () => {
      const visitor = await server.visitor(transport);
      const ids = [];
      for (let i = 0; i < 7; i++) {
        ids.push((await visitor.ok("message", { thread_id: visitor.thread, text: `m${i}` })).message.id);
      }
      assert.deepEqual(ids, [...ids].sort((a, b) => a - b));
      const ask = async (who, payload) => {
        const { messages, has_more } = await who.ok("history", { thread_id: visitor.thread, ...payload });
        return [messages.map((m) => m.content_text).join(), has_more];
      };
      for (const who of [visitor, agent]) {
        assert.deepEqual(await ask(who, {}), ["m0,m1,m2,m3,m4,m5,m6", false]);
        assert.deepEqual(await ask(who, { limit: 3 }), ["m4,m5,m6", true]);
        assert.deepEqual(await ask(who, { before_id: ids[4], limit: 3 }), ["m1,m2,m3", true]);
        assert.deepEqual(await ask(who, { before_id: ids[1], limit: 3 }), ["m0", false]);
        assert.deepEqual(await ask(who, { after_id: ids[3], limit: 2 }), ["m4,m5", true]);
        assert.deepEqual(await ask(who, { after_id: ids[5], limit: 2 }), ["m6", false]);
        assert.deepEqual(await ask(who, { after_id: ids[6] }), ["", false]);
      }
    });

    it("read receipts go to the other side", async () => {
      const visitor = await server.visitor(transport);
      const { message } = await visitor.ok("message", { thread_id: visitor.thread, text: "read me" });
      await agent.ok("read", { thread_id: visitor.thread, last_id: message.id });
      includes(await visitor.next("read"), { thread_id: visitor.thread, last_id: message.id, reader: "admin" });
      const answer = await agent.ok("message", { thread_id: visitor.thread, text: "answer" });
      agent.clear();
      await visitor.ok("read", { thread_id: visitor.thread, last_id: answer.message.id });
      const received = await agent.next("read", (r) => r.thread_id === visitor.thread);
      includes(received, { thread_id: visitor.thread, last_id: answer.message.id, reader: "visitor" });
      await visitor.none("read");
    });

    it("heartbeat shows the visitor online, disconnecting shows it offline", async () => {
      const visitor = await server.visitor(transport, "Pulse");
      const mine = (p) => p.thread_id === visitor.thread;
      await visitor.ok("message", { thread_id: visitor.thread, text: "x" });
      await visitor.ok("heartbeat", { thread_id: visitor.thread });
      const online = await agent.next("visitor_online", mine);
      assert.equal(online.display_name, "Pulse");
      assert.match(online.last_seen, stamp);
      visitor.close();
      const offline = await agent.next("user_offline", mine, GRACE);
      assert.equal(offline.display_name, "Pulse");
      assert.match(offline.last_seen, stamp);
    });

    it("join_thread subscribes to one thread, leave_thread unsubscribes", async () => {
      const visitor = await server.visitor(transport);
      const watcher = await server.connect({ ...transport, cookie }); // not in the agents' room
      await visitor.ok("message", { thread_id: visitor.thread, text: "unwatched" });
      await watcher.none("message");
      await watcher.ok("join_thread", { thread_id: visitor.thread });
      const { message } = await visitor.ok("message", { thread_id: visitor.thread, text: "watched" });
      assertMessage(await watcher.next("message"), { id: message.id, content_text: "watched" });
      await watcher.ok("leave_thread", { thread_id: visitor.thread });
      await visitor.ok("message", { thread_id: visitor.thread, text: "unwatched again" });
      await watcher.none("message");
    });

    it("files are sent under both field names", async () => {
      const visitor = await server.visitor(transport);
      const form = new FormData();
      form.append("file", new Blob([Buffer.from("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg==", "base64")], { type: "image/png" }), "dot.png");
      const { file_url } = await (await fetch(`${server.url}/api/upload/image`, { method: "POST", body: form })).json();
      const { message } = await visitor.ok("message", { thread_id: visitor.thread, type: "image", file_url, text: "caption" });
      assertMessage(message, { content_type: "image", content_text: "caption", file_url, file_path: file_url });
    });
  });
}
