// Refusals (docs/protocol.md, "Socket errors"), over both transports, with and without an ack callback.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, describe, it } from "node:test";
import { start, transports } from "./harness.mjs";

for (const [name, transport] of Object.entries(transports)) {
  describe(`refusals over ${name}`, () => {
    let server, cookie, agent, victim;
    before(async () => {
      server = await start({ CORS_ORIGINS: "https://shop.example" });
      cookie = await server.signIn();
      agent = await server.agent({ ...transport, cookie });
      victim = await server.visitor(transport, "Victim");
      await victim.ok("message", { thread_id: victim.thread, text: "private" });
    });
    after(() => server.stop());

    // alive checks that the socket still works after a refusal.
    const alive = (client) => client.ok("message", { thread_id: client.thread, text: "still here" });

    it("a visitor may not use the events of agents", async () => {
      const visitor = await server.visitor(transport);
      const events = [
        ["admin_join"], ["admin_join", {}], ["join_thread", { thread_id: victim.thread }], ["join_thread", { thread_id: visitor.thread }],
        ["message_to_visitor", { thread_id: victim.thread, text: "x" }], ["message_to_visitor", { thread_id: visitor.thread, text: "x" }],
      ];
      for (const event of events) {
        await visitor.refused("unauthorized", ...event);
        visitor.emit(...event);
        const error = await visitor.next("message_error");
        assert.deepEqual([error.type, error.code], ["unauthorized", "unauthorized"]);
        assert.equal(typeof error.message, "string");
      }
      await victim.ok("message", { thread_id: victim.thread, text: "secret" });
      for (const event of ["message", "message_from_visitor", "new_message_notification"]) await visitor.none(event);
      await alive(visitor);
    });

    it("a visitor cannot access a thread that its socket has not joined", async () => {
      const visitor = await server.visitor(transport);
      victim.clear();
      for (const [event, payload] of [
        ["message", { text: "x" }], ["message_to_admin", { text: "x" }], ["message_from_visitor", { text: "x" }], ["typing", {}],
        ["history", {}], ["read", { last_id: 1 }], ["heartbeat", {}],
      ]) {
        await visitor.refused("unauthorized", event, { thread_id: victim.thread, ...payload });
      }
      await victim.none("message");
      await victim.none("typing");
      await victim.none("read");
      const { messages } = await victim.ok("history", { thread_id: victim.thread });
      assert.ok(messages.every((m) => m.content_text !== "x"));
      await alive(visitor);
    });

    it("an invalid session cookie is refused", async () => {
      for (const bad of ["session=abc", `${cookie.slice(0, -3)}abc`, cookie.replace(/=.*/, "=")]) {
        const client = await server.connect({ ...transport, cookie: bad });
        await client.refused("unauthorized", "admin_join");
        client.close();
      }
    });

    it("invalid input is refused with the field's name and does no harm", async () => {
      const visitor = await server.visitor(transport);
      const at = { thread_id: visitor.thread };
      const cases = [
        ["message", { ...at }, "text"],
        ["message", { ...at, text: "" }, "text"],
        ["message", { ...at, text: " \n\t " }, "text"],
        ["message", { ...at, text: "ş".repeat(10_001) }, "text"],
        ["message", { ...at, text: 5 }, "text"],
        ["message", { ...at, text: { a: 1 } }, "text"],
        ["message", { ...at, text: "x", type: "movie" }, "type"],
        ["message", { ...at, text: "x", client_id: "c".repeat(65) }, "client_id"],
        ["message", { ...at, text: "x", client_id: ["c"] }, "client_id"],
        ["message", { ...at, type: "image", file_url: "javascript:alert(1)" }, "file_url"],
        ["message", { ...at, type: "image" }, "file_url"],
        ["message", { thread_id: "../etc", text: "x" }, "thread_id"],
        ["message", { thread_id: { $ne: 1 }, text: "x" }, "thread_id"],
        ["join", { display_name: "" }, "display_name"],
        ["join", { display_name: "x".repeat(5000) }, "display_name"],
        ["join", { display_name: ["x"] }, "display_name"],
        ["history", { ...at, limit: "many" }, "limit"],
        ["history", { ...at, before_id: {} }, "before_id"],
        ["read", { ...at }, "last_id"],
        ["typing", { ...at, typing: "perhaps" }, "typing"],
      ];
      for (const [event, payload, field] of cases) {
        const error = await visitor.refused("validation_error", event, payload);
        assert.match(error.message + (error.field ?? ""), new RegExp(field), `${event} ${JSON.stringify(payload).slice(0, 80)}`);
      }
      visitor.emit("message", { ...at, text: "" });
      const error = await visitor.next("message_error");
      assert.equal(error.code, "validation_error");
      for (const payload of [[], [null], ["text"], [5], [[]], [{}], [true]]) {
        await visitor.refused("validation_error", "message", ...payload);
      }
      await alive(visitor);
      const { messages } = await visitor.ok("history", at);
      assert.deepEqual(messages.map((m) => m.content_text), ["still here"]);
    });

    it("a text of maximum length is stored unchanged", async () => {
      const visitor = await server.visitor(transport);
      const text = "ş".repeat(10_000);
      const { message } = await visitor.ok("message", { thread_id: visitor.thread, text });
      assert.equal(message.content_text, text);
    });

    it("an agent's message to an unknown thread is refused", async () => {
      await agent.refused("not_found", "message", { thread_id: randomUUID(), text: "x" });
    });

    it("an unknown event or namespace does no harm", async () => {
      const visitor = await server.visitor(transport);
      visitor.emit("no_such_event", { a: 1 });
      visitor.emit("message_error", { a: 1 });
      await alive(visitor);
      const stray = server.open(transport);
      await stray.connected();
      const elsewhere = stray.socket.io.socket("/elsewhere");
      const refusal = await new Promise((resolve) => elsewhere.once("connect_error", resolve).connect());
      assert.equal(refusal.message, "Invalid namespace");
    });

    it("messages above the rate limit are refused with a time to wait, and accepted later", async () => {
      const limited = await start({ RATE_LIMIT_MESSAGE: "3/2s" });
      try {
        const visitor = await limited.visitor(transport);
        const send = (n) => visitor.call("message", { thread_id: visitor.thread, text: `m${n}`, client_id: `c${n}` });
        const acks = [];
        for (let n = 0; n < 5; n++) acks.push(await send(n));
        assert.deepEqual(acks.slice(0, 3).map((a) => a.ok), [true, true, true]);
        const refusal = acks.find((a) => !a.ok);
        assert.equal(refusal?.error.code, "rate_limit_exceeded");
        assert.ok(refusal.error.retry_after_ms > 0 && refusal.error.retry_after_ms <= 2000, JSON.stringify(refusal));
        for (let n = 0; n < 20; n++) visitor.emit("message", { thread_id: visitor.thread, text: "flood" });
        const error = await visitor.next("message_error");
        assert.equal(error.code, "rate_limit_exceeded");
        await new Promise((resolve) => setTimeout(resolve, 2100));
        assert.equal((await send(9)).ok, true);
      } finally {
        await limited.stop();
      }
    });

    it("pages of other origins may not connect; those of this server and of listed origins may", async () => {
      const from = (Origin) => server.open({ ...transport, headers: { Origin } });
      for (const origin of ["https://evil.example", "null", "https://shop.example.evil.example", "http://shop.example"]) {
        await assert.rejects(from(origin).connected(), `${origin} was let in`);
      }
      for (const origin of [server.url, "https://shop.example"]) {
        const client = from(origin);
        await client.connected();
        client.close();
      }
    });
  });
}
