// Who answers a conversation: of agents who take it at once one wins, and every console agrees; a visitor receives none of it.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { cluster, eventually, postgres, start, transports } from "./harness.mjs";

const THREADS = 50;
const AGENTS = 4;

for (const [name, servers] of [
  ["one process on SQLite", async () => [await start()]], ["one process on PostgreSQL", async () => [await start(postgres())]],
  ["three processes on PostgreSQL", () => cluster(3)],
]) {
  describe(name, () => {
    it("one of many agents gets each conversation, and all consoles agree", async (t) => {
      const processes = await servers();
      t.after(() => Promise.all(processes.map((s) => s.stop())));
      const owner = await processes[0].signIn();
      const visitor = await processes[0].visitor(transports.websocket);
      const ids = [visitor.thread];
      while (ids.length < THREADS) {
        const one = await processes[0].visitor(transports.websocket);
        ids.push(one.thread);
        one.close();
      }
      const agents = [];
      for (let n = 0; n < AGENTS; n++) {
        const cookie = n ? await processes[0].invite(owner, `Agent ${n}`) : owner;
        const server = processes[n % processes.length];
        const me = await (await fetch(`${server.url}/api/me`, { headers: { Cookie: cookie } })).json();
        agents.push(Object.assign(await server.agent({ ...transports.websocket, cookie }), { me: me.id }));
      }

      for (const agent of agents) agent.clear();
      const winners = new Map();
      await Promise.all(ids.flatMap((thread_id) => agents.map(async (agent) => {
        const ack = await agent.call("assign", { thread_id, agent_id: agent.me });
        if (ack.ok) {
          assert.ok(!winners.has(thread_id), `${thread_id} was taken twice`);
          winners.set(thread_id, agent.me);
        } else assert.equal(ack.error.code, "conflict", JSON.stringify(ack));
      })));
      assert.equal(winners.size, THREADS);
      for (const agent of agents) {
        const shown = () => new Map(agent.seen.filter(([event]) => event === "thread_updated").map(([, thread]) => [thread.id, thread.assignee?.id]));
        await eventually(async () => {}, () => ids.every((id) => shown().get(id) === winners.get(id)));
        const listed = await (await fetch(`${processes[0].url}/api/threads?assignee=${agent.me}`, { headers: { Cookie: owner } })).json();
        assert.ok(listed.every((thread) => winners.get(thread.id) === agent.me));
      }
      assert.deepEqual(visitor.seen.filter(([event]) => event !== "joined" && event !== "user_online"), []);

      // Handing over, letting go, and taking by answering.
      const [id] = ids;
      const [mine, other] = [agents.find((agent) => agent.me === winners.get(id)), agents.find((agent) => agent.me !== winners.get(id))];
      await other.refused("conflict", "assign", { thread_id: id, agent_id: other.me });
      await other.refused("conflict", "assign", { thread_id: id, agent_id: other.me, from: 0 });
      await mine.refused("validation_error", "assign", { thread_id: id, agent_id: 999_999 });
      await visitor.refused("unauthorized", "assign", { thread_id: id, agent_id: other.me });
      await mine.ok("assign", { thread_id: id, agent_id: other.me, from: mine.me });
      await other.ok("assign", { thread_id: id, agent_id: null });
      for (const agent of agents) {
        await agent.next("thread_updated", (thread) => thread.id === id && thread.assignee === null);
        agent.clear();
      }
      await mine.ok("message", { thread_id: id, text: "buyurun" });
      for (const agent of agents) assert.equal((await agent.next("thread_updated", (thread) => thread.id === id && thread.assignee)).assignee.id, mine.me);
      await other.ok("message", { thread_id: id, text: "ben de buradayım" });
      const [thread] = (await (await fetch(`${processes[0].url}/api/threads?limit=1`, { headers: { Cookie: owner } })).json());
      assert.deepEqual([thread.id, thread.assignee.id], [id, mine.me]);
    });
  });
}
