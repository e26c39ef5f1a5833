// Events beyond messages: read and delivered marks, waiting, closing, editing, notes, canned replies, visitor details, push,
// away.
import assert from "node:assert/strict";
import { createECDH, createHmac, randomBytes } from "node:crypto";
import { after, before, describe, it } from "node:test";
import { includes, postgres, start, transports } from "./harness.mjs";

const variants = [
  ["polling", transports.polling, () => ({})],
  ["websocket, on PostgreSQL", transports.websocket, postgres],
];

for (const [name, transport, database] of variants) {
  describe(`conversation state over ${name}`, () => {
    let server, cookie, agent;
    before(async () => {
      server = await start(database());
      cookie = await server.signIn();
      agent = await server.agent({ ...transport, cookie });
    });
    after(() => server.stop());

    const threads = async (query = "") => (await fetch(`${server.url}/api/threads${query}`, { headers: { Cookie: cookie } })).json();

    it("the ack of join contains the conversation's state", async () => {
      const visitor = await server.connect(transport);
      const ack = await visitor.ok("join", { display_name: "Ayşe" });
      assert.deepEqual([ack.team_read_id, ack.team_received_id, ack.status, ack.rating, ack.away], [0, 0, "active", 0, false]);
      assert.deepEqual(ack.team, { away: false, until: null, typical_reply_seconds: null, hours: false, switched: false });
      assert.deepEqual((await agent.ok("admin_join")).team, ack.team);
    });

    it("delivered marks reach the other side and are kept after a reload", async () => {
      const visitor = await server.visitor(transport);
      const thread_id = visitor.thread;
      const { message } = await visitor.ok("message", { thread_id, text: "one" });
      await agent.ok("delivered", { thread_id, last_id: message.id });
      includes(await visitor.next("delivered"), { thread_id, last_id: message.id, by: "admin" });
      const back = await server.connect(transport);
      const ack = await back.ok("rejoin", { thread_id });
      assert.deepEqual([ack.team_received_id, ack.team_read_id], [message.id, 0]);
      const { message: answer } = await agent.ok("message", { thread_id, text: "two" });
      await visitor.ok("delivered", { thread_id, last_id: answer.id });
      includes(await agent.next("delivered"), { thread_id, last_id: answer.id, by: "visitor" });
      await agent.none("delivered");
      assert.equal((await threads()).find((t) => t.id === thread_id).visitor_received_id, answer.id);
      assert.equal((await visitor.refused("validation_error", "delivered", { thread_id })).field, "last_id");
      const stranger = await server.visitor(transport);
      await stranger.refused("unauthorized", "delivered", { thread_id, last_id: answer.id });
    });

    it("a waiting visitor is reported and listed until an agent answers", async () => {
      const visitor = await server.visitor(transport);
      const thread_id = visitor.thread;
      const { message } = await visitor.ok("message", { thread_id, text: "hello?" });
      includes(await agent.next("thread_updated", (u) => u.id === thread_id), { id: thread_id, waiting_since: message.created_at });
      const [first] = await threads("?status=waiting");
      assert.deepEqual([first.id, first.waiting_since], [thread_id, message.created_at]);
      await agent.ok("message", { thread_id, text: "yes" });
      includes(await agent.next("thread_updated", (u) => u.id === thread_id), { id: thread_id, waiting_since: null });
      assert.ok(!(await threads("?status=waiting")).some((t) => t.id === thread_id));
      assert.equal((await fetch(`${server.url}/api/threads?status=other`, { headers: { Cookie: cookie } })).status, 400);
    });

    it("an agent closes and reopens a conversation", async () => {
      const visitor = await server.visitor(transport);
      const thread_id = visitor.thread;
      await visitor.ok("message", { thread_id, text: "bye" });
      await agent.next("thread_updated", (u) => u.id === thread_id);
      await agent.ok("set_status", { thread_id, status: "closed" });
      includes(await visitor.next("thread_status"), { thread_id, status: "closed" });
      includes(await agent.next("thread_updated", (u) => u.id === thread_id), { id: thread_id, status: "closed", waiting_since: null });
      const back = await server.connect(transport);
      assert.equal((await back.ok("rejoin", { thread_id })).status, "closed");
      await agent.ok("set_status", { thread_id, status: "active" });
      assert.equal((await agent.refused("validation_error", "set_status", { thread_id, status: "gone" })).field, "status");
      await visitor.refused("unauthorized", "set_status", { thread_id, status: "closed" });
    });

    it("an agent edits a message", async () => {
      const visitor = await server.visitor(transport);
      const thread_id = visitor.thread;
      const { message } = await agent.ok("message", { thread_id, text: "Merhab" });
      const edited = await agent.ok("edit_message", { thread_id, id: message.id, text: "Merhaba" });
      assert.equal(edited.message.content_text, "Merhaba");
      assert.equal((await visitor.next("message_edited")).content_text, "Merhaba");
      await visitor.refused("unauthorized", "edit_message", { thread_id, id: message.id, text: "x" });
      await agent.refused("not_found", "edit_message", { thread_id, id: message.id + 1000, text: "x" });
    });

    it("notes go to agents, once, and never to the visitor", async () => {
      const visitor = await server.visitor(transport);
      const other = await server.agent({ ...transport, cookie });
      const thread_id = visitor.thread;
      const { message } = await visitor.ok("message", { thread_id, text: "hello" });
      visitor.clear();
      const { note } = await agent.ok("note", { thread_id, text: "ask about the order", client_id: "n1" });
      assert.deepEqual([note.thread_id, note.text, note.author, note.after_id, note.client_id], [thread_id, "ask about the order", "admin", message.id, "n1"]);
      assert.match(note.created_at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
      assert.deepEqual(await other.next("note_added"), { note });
      assert.deepEqual((await agent.ok("note", { thread_id, text: "x", client_id: "n1" })).note, note);
      assert.deepEqual((await other.ok("notes", { thread_id })).notes, [note]);
      for (const event of ["note", "notes", "note_delete"]) await visitor.refused("unauthorized", event, { thread_id, text: "x", id: note.id });
      assert.equal((await visitor.ok("history", { thread_id })).messages.length, 1);
      await other.ok("note_delete", { thread_id, id: note.id });
      assert.deepEqual(await agent.next("note_deleted"), { thread_id, id: note.id });
      await agent.refused("not_found", "note_delete", { thread_id, id: note.id });
      await visitor.none("note_added");
      assert.deepEqual(visitor.seen, []);
      await agent.none("note_added");
    });

    it("canned replies are stored for the team", async () => {
      const post = async (path, body) => { const r = await server.post(path, body, cookie); return [r.status, await r.json()]; };
      const [status, { canned }] = await post("/api/canned", { shortcut: "kargo", text: "Kargonuz yolda, {name}." });
      assert.equal(status, 200);
      await agent.next("canned_changed");
      const [taken, answer] = await post("/api/canned", { shortcut: "KARGO", text: "x" });
      assert.deepEqual([taken, answer.code], [409, "CONFLICT"]);
      assert.equal((await post("/api/canned", { id: canned.id, shortcut: "kargom", text: "Yolda." }))[1].canned.id, canned.id);
      const list = await (await fetch(`${server.url}/api/canned`, { headers: { Cookie: cookie } })).json();
      assert.deepEqual(list.map((c) => [c.id, c.shortcut, c.text]), [[canned.id, "kargom", "Yolda."]]);
      assert.equal((await post("/api/canned/delete", { id: canned.id }))[0], 200);
      assert.equal((await post("/api/canned/delete", { id: canned.id }))[0], 404);
    });

    it("a visitor's contact details, rating and current page are shown to the agent", async () => {
      const earlier = await server.visitor(transport, "Nur");
      await earlier.ok("contact", { thread_id: earlier.thread, email: "nur@shop.example" }); // confirmed by a system message
      await earlier.ok("message", { thread_id: earlier.thread, text: "first time" });
      const visitor = await server.connect(transport);
      const { thread_id } = await visitor.ok("join", { display_name: "Nur Y.", locale: "tr", page_url: "https://shop.example/a", page_title: "A" });
      await visitor.ok("message", { thread_id, text: "again" });
      assert.equal((await visitor.refused("validation_error", "contact", { thread_id, email: "nur" })).field, "email");
      await visitor.ok("contact", { thread_id, email: "NUR@shop.example", phone_number: "+90 555" });
      includes(await agent.next("thread_updated", (u) => u.id === thread_id && u.email), { id: thread_id, email: "NUR@shop.example", phone_number: "+90 555" });
      assert.equal((await visitor.refused("validation_error", "rate", { thread_id, score: 9 })).field, "score");
      await visitor.ok("rate", { thread_id, score: 4, comment: "hızlı" });
      includes(await agent.next("thread_updated", (u) => u.id === thread_id && u.rating), { id: thread_id, rating: 4, rating_comment: "hızlı" });
      await visitor.ok("page", { thread_id, page_url: "https://shop.example/b", page_title: "B" });
      includes(await agent.next("thread_updated", (u) => u.id === thread_id && u.page_url.endsWith("b")), { id: thread_id, page_url: "https://shop.example/b", page_title: "B" });
      const { facts } = await agent.ok("facts", { thread_id });
      assert.deepEqual(
        [facts.display_name, facts.email, facts.phone_number, facts.locale, facts.page_url, facts.page_title, facts.identity, facts.talks],
        ["Nur Y.", "NUR@shop.example", "+90 555", "tr", "https://shop.example/b", "B", null, 2]);
      assert.deepEqual(facts.earlier.map((t) => [t.id, t.last_message, t.message_count, t.status, t.rating]), [[earlier.thread, "first time", 2, "active", 0]]);
      assert.equal(facts.first_seen, facts.earlier[0].created_at);
      const listed = (await threads()).find((t) => t.id === thread_id);
      assert.deepEqual([listed.email, listed.rating, listed.rating_comment, listed.page_title], ["NUR@shop.example", 4, "hızlı", "B"]);
      assert.equal((await (await server.connect(transport)).ok("rejoin", { thread_id })).rating, 4);
      await visitor.refused("unauthorized", "facts", { thread_id });
      for (const event of ["contact", "rate", "page"]) {
        await agent.refused("unauthorized", event, { thread_id, email: "a@b.example", score: 1, page_url: "https://a.example" });
      }
    });

    it("browser and platform are derived from the User-Agent", async () => {
      const visitor = await server.connect({ ...transport, headers: { "User-Agent": "Mozilla/5.0 (Linux; Android 15; Mobile; rv:140.0) Gecko/140.0 Firefox/140.0" } });
      const { thread_id } = await visitor.ok("join", { display_name: "Can" });
      const { facts } = await agent.ok("facts", { thread_id });
      assert.deepEqual([facts.browser, facts.platform], ["Firefox 140", "Android"]);
    });

    it("agents report whether their console is visible, and subscribe to pushes", async () => {
      const visitor = await server.visitor(transport);
      await visitor.refused("unauthorized", "presence", { visible: true });
      assert.equal((await agent.refused("validation_error", "presence", {})).field, "visible");
      await agent.ok("presence", { visible: true });
      await agent.ok("presence", { visible: false });
      const { key } = await (await fetch(`${server.url}/api/push/key`, { headers: { Cookie: cookie } })).json();
      assert.equal(Buffer.from(key, "base64url").length, 65);
      const keys = { p256dh: createECDH("prime256v1").generateKeys("base64url"), auth: randomBytes(16).toString("base64url") };
      const bad = await server.post("/api/push/subscribe", { endpoint: "https://127.0.0.1/x", keys }, cookie);
      assert.deepEqual([bad.status, (await bad.json()).code], [400, "VALIDATION_FAILED"]);
      const good = await server.post("/api/push/subscribe", { endpoint: "https://push.example/x", keys, locale: "tr" }, cookie);
      assert.equal(good.status, 200);
      assert.equal((await server.post("/api/push/unsubscribe", { endpoint: "https://push.example/x" }, cookie)).status, 200);
    });

    it("the team goes away and comes back", async () => {
      const visitor = await server.visitor(transport);
      await visitor.refused("unauthorized", "set_away", { away: true });
      assert.equal((await agent.refused("validation_error", "set_away", {})).field, "away");
      const { team } = await agent.ok("set_away", { away: true });
      assert.deepEqual(await visitor.next("team_status"), { away: true, until: null, typical_reply_seconds: null, hours: false, switched: true });
      assert.deepEqual(team, await agent.next("team_status"));
      await agent.ok("set_away", { away: false });
      assert.equal((await visitor.next("team_status")).away, false);
    });
  });
}

it("a visitor with a verified identity has the same conversation on every device", async () => {
  const secret = "0123456789abcdef0123456789abcdef";
  const server = await start({ IDENTITY_SECRET: secret });
  try {
    const identity = { id: "müşteri-42", hash: createHmac("sha256", secret).update("müşteri-42").digest("hex") };
    const phone = await server.connect(transports.websocket);
    const { thread_id, resumed } = await phone.ok("join", { display_name: "Ayşe", email: "ayse@shop.example", identity });
    assert.equal(resumed, false);
    await phone.ok("message", { thread_id, text: "from the phone" });
    const desk = await server.connect(transports.polling);
    const again = await desk.ok("join", { display_name: "Ayşe", identity });
    assert.deepEqual([again.thread_id, again.resumed], [thread_id, true]);
    assert.equal((await desk.ok("history", { thread_id })).messages[0].content_text, "from the phone");
    await phone.ok("message", { thread_id, text: "and once more" });
    await desk.next("message", (m) => m.content_text === "and once more");
    const agent = await server.agent(transports.websocket);
    assert.deepEqual((await agent.ok("facts", { thread_id })).facts.identity, { id: "müşteri-42", verified: true });
    const thief = await server.connect(transports.websocket);
    const error = await thief.refused("validation_error", "join", { display_name: "x", identity: { id: "müşteri-42", hash: "0".repeat(64) } });
    assert.equal(error.field, "identity");
    await thief.refused("unauthorized", "history", { thread_id });
    assert.equal((await thief.refused("validation_error", "join", { display_name: "x", identity: "me" })).field, "identity");
  } finally {
    await server.stop();
  }
});

it("outside its opening hours the team is away until it opens, as the first ack says", async () => {
  const later = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"][(new Date().getUTCDay() + 3) % 7];
  const server = await start({ OPENING_HOURS: `UTC ${later} 09:00-09:01` });
  try {
    const visitor = await server.connect(transports.websocket);
    const { team, away } = await visitor.ok("join", { display_name: "Ayşe" });
    assert.deepEqual([away, team.away, team.hours, team.switched], [true, true, true, false]);
    assert.match(team.until, /T09:00:00\.000Z$/);
    assert.ok(Date.parse(team.until) > Date.now());
  } finally {
    await server.stop();
  }
});
