// Blocking over sockets: who may block, what the visitor receives, what is refused while blocked, and unblocking.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { includes, start, transports } from "./harness.mjs";

for (const [name, transport] of Object.entries(transports)) {
  describe(`blocks over ${name}`, () => {
    let server, agent;
    before(async () => {
      server = await start();
      agent = await server.agent(transport);
    });
    after(() => server.stop());

    it("a blocked visitor is notified, refused everywhere, and accepted after unblocking", async () => {
      const visitor = await server.visitor(transport, "Kara");
      const thread_id = visitor.thread;
      for (const event of ["block_thread", "unblock_thread"]) await visitor.refused("unauthorized", event, { thread_id });
      const { block } = await agent.ok("block_thread", { thread_id });
      assert.deepEqual([block.thread_id, block.display_name, block.address], [thread_id, "Kara", false]);
      includes(await visitor.next("thread_blocked"), { thread_id, blocked: true });
      assert.equal((await visitor.next("error")).type, "blocked");
      includes(await agent.next("thread_updated", (p) => "blocked" in p), { id: thread_id, blocked: true });

      for (const [event, payload] of [
        ["message", { thread_id, text: "x" }], ["message_to_admin", { thread_id, text: "x" }], ["join", { thread_id, display_name: "Kara" }],
        ["rejoin", { thread_id }], ["typing", { thread_id }],
      ]) await visitor.refused("blocked", event, payload);
      visitor.emit("message", { thread_id, text: "x" });
      assert.equal((await visitor.next("message_error")).type, "blocked");
      const again = await server.connect(transport);
      await again.refused("blocked", "rejoin", { thread_id });
      await again.ok("join", { display_name: "Somebody else" });

      await agent.ok("unblock_thread", { thread_id });
      includes(await visitor.next("thread_blocked"), { thread_id, blocked: false });
      await visitor.ok("message", { thread_id, text: "thank you" });
    });

    it("blocking the address refuses all visitors from it, but not agents", async () => {
      const visitor = await server.visitor(transport, "Kara");
      const neighbour = await server.visitor(transport, "Komşu");
      const { block } = await agent.ok("block_thread", { thread_id: visitor.thread, address: true });
      assert.equal(block.address, true);
      assert.ok(new Date(block.address_until) > new Date(Date.now() + 29 * 86_400_000));
      await neighbour.refused("blocked", "message", { thread_id: neighbour.thread, text: "x" });
      await (await server.connect(transport)).refused("blocked", "join", { display_name: "Yeni" });
      await agent.ok("message", { thread_id: neighbour.thread, text: "We have blocked your network." });
      await neighbour.next("message", (m) => m.sender_type === "admin");
      await agent.ok("unblock_thread", { thread_id: visitor.thread });
      await neighbour.ok("message", { thread_id: neighbour.thread, text: "thanks" });
    });
  });
}
