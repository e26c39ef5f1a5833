// Older clients that implement only part of the protocol can hold a conversation. They use no ack callbacks, and no headers
// except those of browsers.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { eventually, GRACE, start, transports } from "./harness.mjs";

// By default the client begins with polling and upgrades.
const ways = { ...transports, "polling, then websocket": {} };

for (const [name, transport] of Object.entries(ways)) {
  describe(`older clients over ${name}`, () => {
    let server, cookie;
    before(async () => {
      server = await start();
      cookie = await server.signIn();
      for (const agent of ["Ada", "Bob", "Cem", "Eve"]) await server.invite(cookie, agent); // a team of five, of which older clients know nothing
    });
    after(() => server.stop());

    it("a client that uses only the older event names", async () => {
      const agent = await server.connect({ ...transport, cookie });
      agent.emit("admin_join");
      let visitor = await server.connect(transport);
      visitor.emit("join", { display_name: "Eski İstemci", phone_number: "" });
      const { thread_id } = await visitor.next("joined");

      visitor.emit("message_to_admin", { thread_id, text: "merhaba" });
      const first = await agent.next("message_from_visitor");
      assert.deepEqual([first.content_text, first.sender, first.thread_id], ["merhaba", "visitor", thread_id]);
      const note = await agent.next("new_message_notification");
      assert.deepEqual([note.thread_id, note.display_name, note.message_preview], [thread_id, "Eski İstemci", "merhaba"]);

      agent.emit("message_to_visitor", { thread_id, text: "buyurun" });
      const answer = await visitor.next("message_from_admin");
      assert.deepEqual([answer.content_text, answer.sender], ["buyurun", "admin"]);
      await eventually(() => visitor.emit("heartbeat", { thread_id }), () => agent.seen.some(([e]) => e === "visitor_online"));

      visitor.close(); // a lost connection; messages sent meanwhile must not be lost
      await agent.next("user_offline", (u) => u.thread_id === thread_id, GRACE);
      agent.emit("message_to_visitor", { thread_id, text: "orada mısınız?" });
      visitor = await server.connect(transport);
      visitor.emit("rejoin", { thread_id });
      assert.deepEqual(await visitor.next("joined"), { thread_id });
      visitor.emit("message_to_admin", { thread_id, text: "buradayım" });
      assert.equal((await agent.next("message_from_visitor")).content_text, "buradayım");

      const stored = await fetch(`${server.url}/api/messages?thread_id=${thread_id}`, { headers: { Cookie: cookie } });
      const told = (await stored.json()).map((m) => `${m.sender}: ${m.content_text}`);
      assert.deepEqual(told, ["visitor: merhaba", "admin: buyurun", "admin: orada mısınız?", "visitor: buradayım"]);
      for (const client of [agent, visitor]) await client.none("message_error");
    });

    it("a client that uses only join, message and typing", async () => {
      const visitor = await server.connect(transport);
      visitor.emit("join", { display_name: "Kısa" });
      const { thread_id } = await visitor.next("joined");
      const agent = await server.connect({ ...transport, cookie });
      agent.emit("join_thread", { thread_id });
      await eventually(() => visitor.emit("typing", { thread_id }), () => agent.seen.some(([e]) => e === "typing"));

      for (const text of ["bir", "iki"]) {
        visitor.emit("message", { thread_id, text });
        const received = await agent.next("message");
        assert.deepEqual([received.content_text, received.sender_type], [text, "visitor"]);
        agent.emit("message", { thread_id, text: `${text} mi?` });
        const answer = await visitor.next("message");
        assert.deepEqual([answer.content_text, answer.sender_type], [`${text} mi?`, "admin"]);
      }
      await eventually(() => agent.emit("typing", { thread_id, typing: true }), () => visitor.seen.some(([e]) => e === "typing"));
      for (const client of [agent, visitor]) await client.none("message_error");
    });
  });
}
