// Settings that an owner changes while visitors write: every process follows, and no message is lost.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { cluster, eventually, postgres, sleep, start, transports } from "./harness.mjs";

// The harness sets the limits, and what the environment sets cannot be changed.
const free = { RATE_LIMIT_MESSAGE: "", RATE_LIMIT_UPLOAD: "", RATE_LIMIT_LOGIN: "" };

const CHANGES = [
  { BRAND_NAME: "Tea House", BRAND_COLOR: "#8a1538", BRAND_GREETING: "Hello there", AGENT_NAME: "The team" },
  { CORS_ORIGINS: "https://shop.example", IDENTITY_SECRET: "s".repeat(40), METRICS_TOKEN: "a-token-for-figures" },
  { OPENING_HOURS: "Europe/Istanbul Mon-Fri 09:00-18:00", DEFAULT_LOCALE: "en", MESSAGE_RETENTION_DAYS: "90" },
  { RATE_LIMIT_MESSAGE: "1000/1m", RATE_LIMIT_UPLOAD: "50/1m", RATE_LIMIT_LOGIN: "20/1m", LOG_LEVEL: "warn" },
  { BRAND_LOGO: "https://cdn.example/logo.png", AGENT_AVATAR: "https://cdn.example/team.png" },
];

for (const [name, servers] of [
  ["one process on SQLite", async () => [await start(free)]],
  ["three processes on PostgreSQL with Redis", () => cluster(3, free)],
  ["two processes on PostgreSQL alone", async () => {
    const shared = { ...postgres(), ...free };
    return [await start(shared), await start(shared)];
  }],
]) {
  describe(name, () => {
    it("every process follows, and no message is lost", async (t) => {
      const processes = await servers();
      t.after(() => Promise.all(processes.map((s) => s.stop())));
      const owner = await processes[0].signIn();
      const visitors = await Promise.all(processes.map((s) => s.visitor(transports.websocket)));
      let writing = true;
      const acked = Promise.all(visitors.map(async (visitor) => {
        let n = 0;
        for (; writing && n < 25; n++) {
          await visitor.ok("message", { thread_id: visitor.thread, content_text: `message ${n}`, client_id: crypto.randomUUID() });
          await sleep(50);
        }
        return n;
      }));
      for (const change of CHANGES) {
        const answer = await processes.at(-1).post("/api/settings", change, owner);
        assert.equal(answer.status, 200, await answer.text());
      }
      for (const server of processes) {
        let shown = false;
        await eventually(async () => {
          const html = await (await fetch(`${server.url}/`)).text();
          shown = html.includes("Tea House") && html.includes("Hello there") && html.includes('lang="en"') && html.includes("https://cdn.example/logo.png");
        }, () => shown);
        const loader = await (await fetch(`${server.url}/widget.js`)).text();
        assert.ok(loader.includes("https://shop.example"));
        const figures = await fetch(`${server.url}/metrics`, { headers: { Authorization: "Bearer a-token-for-figures" } });
        assert.equal(figures.status, 200);
        await figures.arrayBuffer();
      }
      writing = false;
      const counts = await acked;
      for (const [i, visitor] of visitors.entries()) {
        const { messages } = await visitor.ok("history", { thread_id: visitor.thread, limit: 100 });
        assert.deepEqual(messages.map((m) => m.content_text), Array.from({ length: counts[i] }, (_, n) => `message ${n}`));
        assert.ok(visitor.connected, "the connection stayed");
      }
      const back = await processes[0].post("/api/settings", Object.fromEntries(CHANGES.flatMap((change) => Object.keys(change)).map((key) => [key, null])), owner);
      assert.equal(back.status, 200);
      const list = await (await fetch(`${processes[0].url}/api/settings`, { headers: { Cookie: owner } })).json();
      assert.ok(Object.values(list).every((setting) => setting.source !== "database"));
    });
  });
}
