// The state of conversations on several processes, while visitors write and several agents answer, read, edit, close, reopen, block, empty
// and delete on all of them, and one process loses Redis or PostgreSQL in different ways. Afterwards what every console and every visitor's
// page shows equals the database. SOHBET_AGREEMENT_PROCESSES sets the number of processes (3), SOHBET_AGREEMENT_ROUNDS how often each failure
// is tried (1).
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { cluster, postgres, sleep, start } from "./harness.mjs";
import { Gate } from "./services.mjs";

const PROCESSES = Number(process.env.SOHBET_AGREEMENT_PROCESSES ?? 3);
const ROUNDS = Number(process.env.SOHBET_AGREEMENT_ROUNDS ?? 1);
const LONG = Number(process.env.SOHBET_AGREEMENT_FREEZE ?? 2) * 1000;
const SETTLE = 20_000; // maximum ms until all agree
const websocket = { transports: ["websocket"] };

const bare = ({ status, unread_count, waiting_since, blocked, display_name, rating, last_message, visitor_read_id }) =>
  ({ status, unread_count, waiting_since, blocked, display_name, rating, last_message, visitor_read_id });

// Messages holds the messages of one conversation, as a page does.
class Messages {
  byID = new Map();
  early = new Map(); // edited messages that are unknown
  clearedTo = 0;

  take(m) {
    if (m.id <= this.clearedTo) return;
    const edited = this.early.get(m.id);
    if ((edited?.rev ?? 0) > (m.rev ?? 0)) m = edited;
    const known = this.byID.get(m.id);
    if (!known || (m.rev ?? 0) >= (known.rev ?? 0)) this.byID.set(m.id, m);
  }

  edit(m) { if (this.byID.has(m.id)) this.take(m); else this.early.set(m.id, m); }
  cleared(last) { this.clearedTo = Math.max(this.clearedTo, last); for (const id of this.byID.keys()) if (id <= last) this.byID.delete(id); }
  deleted(ids) { for (const id of ids) this.byID.delete(id); }

  // refetch reads everything again. What arrived by an event meanwhile is newer.
  async refetch(client, thread_id) {
    const before = Math.max(0, ...this.byID.keys());
    const there = new Set();
    for (let after_id = 0, more = true; more;) {
      const page = await client.call("history", { thread_id, after_id, limit: 100 });
      if (!page.ok) return;
      for (const m of page.messages) { there.add(m.id); this.take(m); after_id = m.id; }
      more = page.has_more;
    }
    for (const id of this.byID.keys()) if (id <= before && !there.has(id)) this.byID.delete(id);
  }

  get texts() { return [...this.byID.values()].sort((a, b) => a.id - b.id).map((m) => `${m.id} ${m.content_text}`); }
}

// Console applies events and lists as docs/protocol.md, "Revisions", says.
class Console {
  rows = new Map();
  gone = new Map();
  messages = new Map();

  static async open(server, cookie) {
    const c = new Console();
    Object.assign(c, { server, cookie, client: await server.connect({ ...websocket, cookie }) });
    c.client.seen = { push() {} };
    const on = (event, act) => c.client.socket.on(event, act);
    on("thread_updated", (row) => { if (c.rows.has(row.id)) c.#row(row); else c.load(); });
    on("thread_created", () => c.load());
    on("new_message_notification", ({ thread_id, status, unread_count, waiting_since, rev }) => {
      const row = c.rows.get(thread_id);
      if (row && rev >= row.stateRev) Object.assign(row, { status, unread_count, waiting_since, stateRev: rev });
    });
    on("message", (m) => c.message(m));
    on("read", ({ thread_id, last_id, reader, rev }) => {
      const row = c.rows.get(thread_id);
      if (row && rev >= row.rev && reader === "visitor") row.visitor_read_id = Math.max(row.visitor_read_id, last_id);
    });
    on("message_edited", (m) => c.#of(m.thread_id).edit(m));
    on("messages_deleted", ({ thread_id, ids }) => c.#of(thread_id).deleted(ids));
    on("thread_cleared", ({ thread_id, kept, last_id, rev }) => {
      c.#of(thread_id).cleared(last_id);
      if (kept || c.rows.get(thread_id)?.rev > rev) return;
      c.gone.set(thread_id, rev);
      c.rows.delete(thread_id);
    });
    on("resync", () => setTimeout(() => c.load(true), Math.random() * 500));
    await c.client.ok("admin_join");
    await c.load();
    return c;
  }

  message(m) {
    const row = this.rows.get(m.thread_id);
    if (!row) this.load();
    else if (m.id > row.last_message_id) Object.assign(row, { last_message: m.content_text, last_message_id: m.id });
    this.#of(m.thread_id).take(m);
  }

  #of(thread) {
    if (!this.messages.has(thread)) this.messages.set(thread, new Messages());
    return this.messages.get(thread);
  }

  #row(row) {
    if (row.rev <= this.gone.get(row.id)) return;
    const known = this.rows.get(row.id);
    if (!known || row.created_at > known.created_at) this.rows.set(row.id, { ...row, stateRev: row.rev });
    else {
      const { status, unread_count, waiting_since, stateRev, last_message, last_message_id } = known;
      if (row.rev < known.rev) return;
      Object.assign(known, row, { visitor_read_id: Math.max(known.visitor_read_id, row.visitor_read_id) });
      if (row.rev < stateRev) Object.assign(known, { status, unread_count, waiting_since });
      else known.stateRev = row.rev;
      if (row.last_message_id < last_message_id) Object.assign(known, { last_message, last_message_id });
    }
  }

  async list() {
    const answer = await fetch(`${this.server.url}/api/threads?limit=1000`, { headers: { Cookie: this.cookie } });
    return answer.ok ? answer.json() : null;
  }

  async load(all = false) {
    const before = new Map([...this.rows].map(([id, row]) => [id, row.rev]));
    const rows = await this.list().catch(() => null);
    if (!rows) {
      if (this.client.socket.connected) setTimeout(() => this.load(all), 200);
      return;
    }
    const ids = new Set(rows.map((r) => r.id));
    for (const [id, rev] of before) if (!ids.has(id) && this.rows.get(id)?.rev === rev) this.rows.delete(id);
    for (const row of rows) this.#row(row);
    if (all) for (const [thread, messages] of this.messages) await messages.refetch(this.client, thread);
  }

  get state() { return Object.fromEntries([...this.rows.values()].filter((r) => r.last_message_id).map((r) => [r.id, bare(r)]).sort()); }
}

// Visitor is a visitor's page.
class Visitor {
  status = { rev: 0, status: "active" };
  blocked = { rev: 0, blocked: false };
  messages = new Messages();
  sent = 0;

  static async join(server, name) {
    const v = new Visitor();
    v.client = await server.connect(websocket);
    const on = (event, act) => v.client.socket.on(event, (p) => { if ((p.thread_id ?? v.thread) === v.thread) act(p); });
    on("thread_status", (p) => { if (p.rev >= v.status.rev) v.status = p; });
    on("thread_blocked", (p) => { if (!p.rev || p.rev >= v.blocked.rev) v.blocked = p; });
    for (const event of ["message", "message_from_admin"]) on(event, (m) => v.messages.take(m));
    on("message_edited", (m) => v.messages.edit(m));
    on("messages_deleted", ({ ids }) => v.messages.deleted(ids));
    on("thread_cleared", ({ last_id, kept, rev }) => {
      v.messages.cleared(last_id);
      if (!kept && rev > v.status.rev) v.status = { rev, status: "active" }; // the next message creates it again
    });
    on("resync", () => setTimeout(() => v.refetch(), Math.random() * 500));
    const ack = await v.client.ok("join", { display_name: name });
    v.thread = ack.thread_id;
    v.status = ack;
    return v;
  }

  async refetch() {
    const ack = await this.client.call("rejoin", { thread_id: this.thread }).catch(() => ({}));
    if (ack.ok && ack.rev >= this.status.rev) this.status = ack;
    if (ack.ok || ack.error?.code === "blocked") {
      const rev = ack.rev ?? ack.error?.rev ?? this.blocked.rev;
      if (rev >= this.blocked.rev) this.blocked = { rev, blocked: !ack.ok };
    }
    if (ack.error?.code === "not_found") { // the next message creates it again
      this.status = { rev: this.status.rev, status: "active" };
      this.messages.byID.clear();
    }
    await this.messages.refetch(this.client, this.thread);
  }
}

describe(`state on ${PROCESSES} processes`, { timeout: 240_000 }, () => {
  let servers, redis, database, consoles, visitors;
  before(async () => {
    redis = await Gate.start(process.env.SOHBET_TEST_REDIS);
    const shared = postgres();
    database = await Gate.start(shared.DATABASE_URL);
    servers = await cluster(PROCESSES - 1, shared);
    servers.push(await start({ ...shared, REDIS_URL: redis.url, DATABASE_URL: database.url }));
    const cookie = await servers[0].signIn();
    consoles = await Promise.all(servers.map((server) => Console.open(server, cookie)));
    visitors = await Promise.all([...servers, ...servers].map((server, i) => Visitor.join(server, `Visitor ${i}`)));
  });
  after(async () => {
    await Promise.all(servers.map((server) => server.stop()));
    redis.stop();
    database.stop();
  });

  const pick = (list) => list[Math.floor(Math.random() * list.length)];

  // act does one random thing on a random process. Refusals are part of it: the database may be away, or the conversation deleted.
  async function act() {
    const v = pick(visitors);
    const thread_id = v.thread;
    const { client, server, cookie } = pick(consoles);
    const call = (event, payload) => client.call(event, { thread_id, ...payload }).catch(() => ({}));
    const post = (path, payload) => fetch(`${server.url}${path}`, { method: "POST", headers: { Cookie: cookie, "Content-Type": "application/json" }, body: JSON.stringify({ thread_id, ...payload }) }).catch(() => {});
    // send sends a message until it is acknowledged, as clients do.
    const send = async (client, text) => {
      const message = { thread_id, text, client_id: String(Math.random()) };
      for (let tries = 0; tries < 5; tries++) {
        const ack = await client.call("message", message).catch(() => ({ error: { code: "timeout" } }));
        if (ack.message || !["timeout", "db_save_failed", "internal_error"].includes(ack.error?.code)) return ack;
        await sleep(200);
      }
      return {};
    };
    const write = async () => {
      const ack = await send(v.client, `question ${++v.sent}`);
      if (ack.message) v.messages.take(ack.message);
    };
    const answer = async () => {
      const ack = await send(client, `answer ${Math.random()}`);
      if (ack.message) consoles.find((c) => c.client === client).message(ack.message);
      return ack.message;
    };
    const newest = () => Math.max(0, ...v.messages.byID.keys());
    await pick([
      write, write, write, answer, answer,
      () => Promise.all([write(), answer()]),
      () => call("read", { last_id: newest() || 1 }),
      () => v.client.call("read", { thread_id, last_id: newest() || 1 }).catch(() => {}),
      async () => { const m = await answer(); if (m) await Promise.all([1, 2].map((n) => call("edit_message", { id: m.id, text: `edited ${n} ${Math.random()}` }))); },
      () => call("set_status", { status: "closed" }), () => call("set_status", { status: "active" }),
      () => Promise.all([call("set_status", { status: "closed" }), write()]),
      async () => { await post("/api/threads/block", { address: false }); await post("/api/threads/unblock"); },
      () => v.client.call("rate", { thread_id, score: pick([1, 2, 3, 4, 5]) }).catch(() => {}),
      () => (Math.random() < 0.5 ? post("/api/messages/clear") : undefined),
      () => (Math.random() < 0.3 ? post("/api/threads/delete") : undefined),
    ])();
  }

  async function busy(ms) {
    const end = Date.now() + ms;
    await Promise.all(Array.from({ length: 6 }, async () => { while (Date.now() < end) await act(); }));
  }

  // differences compares all consoles and pages with the database.
  async function differences() {
    const rows = await consoles[0].list();
    const truth = Object.fromEntries(rows.filter((r) => r.last_message_id).map((r) => [r.id, bare(r)]).sort());
    const found = [];
    const same = (what, got, want) => {
      try { assert.deepEqual(got, want); } catch (err) { found.push(`${what}: ${err.message}`); }
    };
    for (const [i, c] of consoles.entries()) same(`console ${i}`, c.state, truth);
    for (const [i, v] of visitors.entries()) {
      const row = rows.find((r) => r.id === v.thread);
      const stored = new Messages();
      await stored.refetch(v.client, v.thread);
      same(`messages of visitor ${i}`, v.messages.texts, stored.texts);
      for (const [n, c] of consoles.entries()) if (c.messages.has(v.thread)) same(`messages of visitor ${i} in console ${n}`, c.messages.get(v.thread).texts, stored.texts);
      if (!row) continue;
      same(`status of visitor ${i}`, v.status.status, row.status);
      same(`block of visitor ${i}`, v.blocked.blocked, row.blocked);
    }
    return found;
  }

  async function agree(t) {
    const began = Date.now();
    let found;
    do {
      await sleep(100);
      found = await differences();
    } while (found.length && Date.now() - began < SETTLE);
    assert.deepEqual(found, []);
    t.diagnostic(`all agree after ${Date.now() - began} ms`);
  }

  // during runs actions while a failure lasts, and 300 ms longer.
  const during = async (ms, fail, end) => {
    const acting = busy(ms + 500);
    await sleep(200);
    fail();
    await sleep(ms);
    end();
    await acting;
  };
  const failures = {
    "nothing fails": () => busy(1500),
    "Redis is cut": () => during(2000, () => redis.close(), () => redis.open()),
    "Redis freezes": () => during(4500, () => redis.freeze(), () => redis.thaw()),
    "Redis is lost without an error": () => during(1500, () => redis.freeze(), () => redis.thaw({ lose: true })),
    "Redis is slow": () => during(2000, () => redis.slow(300), () => redis.slow(0)),
    "PostgreSQL is cut": () => during(1500, () => database.close(), () => database.open()),
    "PostgreSQL freezes": () => during(LONG, () => database.freeze(), () => database.thaw()),
    "PostgreSQL is lost without an error": () => during(1500, () => database.freeze(), () => database.thaw({ lose: true })),
    "PostgreSQL is slow": () => during(2000, () => database.slow(100), () => database.slow(0)),
    "the process freezes": () => during(2500, () => servers.at(-1).child.kill("SIGSTOP"), () => servers.at(-1).child.kill("SIGCONT")),
  };
  for (const [name, fail] of Object.entries(failures)) {
    it(`all agree with the database after: ${name}`, async (t) => {
      for (let n = 0; n < ROUNDS; n++) {
        await busy(500);
        await fail();
        await busy(300);
        await agree(t);
      }
    });
  }
});
