// What agents see of each other: who is online or away, who looks at a conversation, who is typing. Visitors receive none of it.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { cluster, eventually, start, transports } from "./harness.mjs";

const LOST = 60_000; // ms until a process that was killed must have been forgotten

for (const [name, servers] of [
  ["one process on SQLite", async (settings) => [await start(settings)]],
  ["three processes on PostgreSQL", (settings) => cluster(3, settings)],
]) {
  describe(name, () => {
    it("agents see who is there, who looks at a conversation and who is typing", async (t) => {
      const processes = await servers({ AGENT_IDLE: "7m" });
      t.after(() => Promise.all(processes.map((s) => s.stop())));
      const at = (n) => processes[n % processes.length];
      const cookie = await at(0).signIn();
      const cookies = { admin: cookie, Ada: await at(0).invite(cookie, "Ada"), Bob: await at(0).invite(cookie, "Bob") };
      const visitor = await at(1).visitor(transports.websocket);
      const other = await at(2).visitor(transports.websocket);
      const thread_id = visitor.thread;
      for (const one of [visitor, other]) await one.ok("message", { thread_id: one.thread, text: "merhaba" });

      const consoles = {};
      for (const [n, who] of Object.keys(cookies).entries()) {
        const client = await at(n).connect({ ...transports.websocket, cookie: cookies[who] });
        assert.equal((await client.ok("admin_join")).idle_seconds, 420);
        await client.next("agents_presence"); // the greeting, before what follows from this console
        consoles[who] = client;
      }
      const { admin, Ada, Bob } = consoles;
      // The state of each agent: o = online, a = away, s = by the switch.
      const state = (team) => team.map((one) => `${one.name} ${one.online ? "o" : ""}${one.away ? "a" : ""}${one.switched ? "s" : ""}`).join(", ");
      const everywhere = async (wanted, clients = Object.values(consoles)) => {
        for (const client of clients) await client.next("agents_presence", (team) => state(team) === wanted);
      };
      await everywhere("admin o, Ada o, Bob o");
      for (const server of processes) {
        const listed = await (await fetch(`${server.url}/api/agents`, { headers: { Cookie: cookie } })).json();
        assert.equal(state(listed), "admin o, Ada o, Bob o");
      }

      // Looking at a conversation.
      const views = (client, names, id = thread_id) => client.next("agent_viewing", (seen) => seen.thread_id === id && seen.agents.map((agent) => agent.name).join() === names);
      await Ada.ok("presence", { visible: true });
      await Ada.ok("join_thread", { thread_id });
      for (const client of Object.values(consoles)) await views(client, "Ada");
      await Bob.ok("join_thread", { thread_id });
      await Bob.ok("presence", { visible: true });
      for (const client of Object.values(consoles)) await views(client, "Ada,Bob");
      const late = await at(1).agent({ ...transports.websocket, cookie });
      await views(late, "Ada,Bob");
      late.close();
      await Ada.ok("join_thread", { thread_id: other.thread });
      await views(admin, "Bob");
      await views(admin, "Ada", other.thread);
      await Ada.ok("leave_thread", { thread_id: other.thread });
      await views(admin, "", other.thread);
      await Bob.ok("presence", { visible: false });
      await views(admin, "");
      await visitor.refused("unauthorized", "presence", { visible: true });

      // Typing: of a message the visitor is told as well, of a note not. These events may be dropped, so they are repeated.
      for (const wanted of [{ typing: true, note: true }, { typing: false, note: true }, { typing: true, note: false }]) {
        for (const client of [admin, Bob, visitor]) client.clear();
        await eventually(() => Ada.ok("typing", { thread_id, ...wanted }), () => [admin, Bob].every((client) => client.seen.some(([event]) => event === "agent_typing")));
        for (const client of [admin, Bob]) {
          const { agent, ...rest } = await client.next("agent_typing");
          assert.equal(agent.name, "Ada");
          assert.deepEqual(rest, { thread_id, ...wanted });
        }
        if (wanted.note) assert.deepEqual(visitor.seen, []);
        else assert.deepEqual(await visitor.next("typing"), { thread_id, sender_type: "admin", display_name: "", typing: true });
      }
      assert.deepEqual(Ada.seen.filter(([event]) => event === "agent_typing"), []);
      await Ada.refused("validation_error", "typing", { thread_id: "x", note: true });

      // Handing over with a note, and names in notes: only the receiver's console counts them as unseen, until it has seen them.
      const id = async (who) => (await (await fetch(`${at(0).url}/api/me`, { headers: { Cookie: cookies[who] } })).json()).id;
      const [adas, bobs] = [await id("Ada"), await id("Bob")];
      await admin.ok("assign", { thread_id, agent_id: adas, note: "kargoyu soruyor, @Bob da bilsin" });
      for (const client of Object.values(consoles)) {
        const { note } = await client.next("note_added");
        assert.deepEqual([note.text, note.unseen_by], ["kargoyu soruyor, @Bob da bilsin", [adas, bobs]]);
        for (const [agent, kind] of [[adas, "assigned"], [bobs, "mention"]]) {
          const told = await client.next("agent_notified", (one) => one.agent_id === agent);
          assert.deepEqual([told.kind, told.by.name, told.thread.id, told.thread.assignee.id], [kind, "admin", thread_id, adas]);
        }
      }
      const mentions = async (who) => {
        const client = await at(2).connect({ ...transports.websocket, cookie: cookies[who] });
        const { mentions: list } = await client.ok("admin_join");
        client.close();
        return list.map((thread) => thread.id);
      };
      assert.deepEqual([await mentions("admin"), await mentions("Ada"), await mentions("Bob")], [[], [thread_id], [thread_id]]);
      await Bob.ok("notes", { thread_id, seen: false });
      assert.deepEqual(await mentions("Bob"), [thread_id]);
      await Bob.ok("notes", { thread_id });
      for (const client of Object.values(consoles)) assert.deepEqual(await client.next("notes_seen"), { thread_id, agent_id: bobs });
      assert.deepEqual([await mentions("Ada"), await mentions("Bob")], [[thread_id], []]);
      await visitor.refused("unauthorized", "notes", { thread_id });

      // Away: each agent's own switch, and idle consoles; the team is away when all have switched.
      await Ada.ok("set_away", { away: true });
      await everywhere("admin o, Ada oas, Bob o");
      await Bob.ok("presence", { visible: true, idle: true });
      await everywhere("admin o, Ada oas, Bob oa");
      await admin.ok("set_away", { away: true });
      await everywhere("admin oas, Ada oas, Bob oa");
      assert.ok(!(await admin.ok("set_away", { away: true })).team.away, "Bob has not switched");
      await Bob.ok("set_away", { away: true });
      assert.equal((await visitor.next("team_status")).away, true);
      await Bob.ok("presence", { visible: true });
      await Bob.ok("set_away", { away: false });
      assert.equal((await visitor.next("team_status")).away, false);
      await everywhere("admin oas, Ada oas, Bob o");
      await Ada.ok("set_away", { away: false });
      await admin.ok("set_away", { away: false });
      await everywhere("admin o, Ada o, Bob o");

      // A console that is gone, and one whose process was killed.
      await views(admin, "Bob");
      Ada.close();
      await admin.next("agents_presence", (team) => state(team) === "admin o, Ada a, Bob o", LOST);
      if (processes.length > 1) {
        const [killed] = processes.splice(2);
        killed.child.kill("SIGKILL");
        await killed.ended;
        await admin.next("agent_viewing", (seen) => seen.thread_id === thread_id && seen.agents.length === 0, LOST);
        await admin.next("agents_presence", (team) => state(team) === "admin o, Ada a, Bob a", LOST);
      }
      const received = new Set([...visitor.seen, ...other.seen].map(([event]) => event));
      for (const event of ["agents_presence", "agent_viewing", "agent_typing", "agent_notified", "notes_seen", "note_added"]) assert.ok(!received.has(event), `a visitor received ${event}`);
    });
  });
}
