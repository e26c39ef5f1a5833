// SIGTERM under load: the official client reconnects to the next process by itself. No acknowledged message is lost, duplicated
// or out of order, and listeners miss none. SOHBET_CLIENTS and SOHBET_RESTARTS increase the load.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { postgres, sleep, start, transports } from "./harness.mjs";

const CLIENTS = Number(process.env.SOHBET_CLIENTS ?? 40);
const RESTARTS = Number(process.env.SOHBET_RESTARTS ?? 2);
const GRACE = 10_000; // ms that platforms give a process to exit
const PATIENCE = 30_000 + 100 * CLIENTS;

/** Waits until holds() is true, for PATIENCE at most. */
async function until(holds, what) {
  for (const end = Date.now() + PATIENCE; !holds(); await sleep(20)) {
    if (Date.now() > end) assert.fail(`the condition never became true: ${what()}`);
  }
}

/**
 * A visitor who writes numbered messages one after the other, each repeated until it is acknowledged, and a second tab that
 * listens.
 */
class Writer {
  acked = []; // ids
  received = new Map(); // id → text, in the order of arrival
  reconnects = 0;
  over = false;

  async begin(server, transport, n) {
    const options = { ...transport, reconnection: true, reconnectionDelay: 50, reconnectionDelayMax: 500 };
    this.client = await server.visitor(options, `Ziyaretçi ${n}`);
    this.tab = await server.connect(options);
    await this.tab.ok("rejoin", { thread_id: this.client.thread });
    this.tab.socket.on("message", (m) => this.take(m));
    // As pages do after a lost connection: rejoin, and fetch the missed messages.
    for (const [client, back] of [[this.client, () => {}], [this.tab, () => this.catchUp()]]) {
      client.socket.on("connect", async () => {
        this.reconnects++;
        client.socket.emit("rejoin", { thread_id: this.client.thread }, (ack) => ack?.ok && back());
      });
    }
  }

  take(m) {
    if (!this.received.has(m.id)) this.received.set(m.id, m.content_text);
  }

  catchUp() {
    const after_id = Math.max(0, ...this.received.keys());
    this.tab.socket.emit("history", { thread_id: this.client.thread, after_id, limit: 100 }, (ack) => {
      for (const m of ack?.messages ?? []) this.take(m);
      if (ack?.has_more) this.catchUp();
    });
  }

  async write() {
    for (let n = 0; !this.over; n++) {
      const text = String(n);
      const end = Date.now() + PATIENCE;
      for (let ack; !ack?.ok; ) {
        if (Date.now() > end) assert.fail(`message ${n} was never acked: ${JSON.stringify(ack)}`);
        ack = await this.client.socket.timeout(5_000).emitWithAck("message", { thread_id: this.client.thread, text, client_id: text }).catch(() => null);
        if (ack?.ok) this.acked.push(ack.message.id);
        else await sleep(50);
      }
    }
  }

  /** Checks that all acknowledged messages are stored once, in order, and that the tab has received all. */
  async check() {
    const stored = [];
    for (let more = true; more; ) {
      const ack = await this.client.ok("history", { thread_id: this.client.thread, after_id: stored.at(-1)?.id ?? 0, limit: 100 });
      stored.push(...ack.messages);
      more = ack.has_more;
    }
    assert.deepEqual(stored.map((m) => m.id), this.acked, "the stored messages are the acknowledged ones, in order");
    assert.deepEqual(stored.map((m) => m.content_text), this.acked.map((_, n) => String(n)));
    await until(() => this.received.size >= stored.length, () => `the tab has ${this.received.size} of ${stored.length} messages`);
    assert.deepEqual([...this.received.keys()].sort((a, b) => a - b), this.acked);
    assert.ok(this.reconnects >= 2 * RESTARTS, `${this.reconnects} reconnections`);
  }
}

for (const [name, transport, database] of [
  ["websocket", transports.websocket, () => ({})],
  ["polling, on PostgreSQL", transports.polling, postgres],
]) {
  describe(`the next process over ${name}`, () => {
    let server;
    const writers = [];
    before(async () => {
      server = await start(database());
      for (let n = 0; n < CLIENTS; n += 20) { // not all at once
        await Promise.all(Array.from({ length: Math.min(20, CLIENTS - n) }, async (_, i) => {
          const writer = new Writer();
          await writer.begin(server, transport, n + i);
          writers.push(writer);
        }));
      }
    });
    after(() => {
      for (const writer of writers) {
        writer.over = true;
        writer.client.socket.disconnect();
        writer.tab.socket.disconnect();
      }
      return server.stop();
    });

    it("takes over every client, and no message is lost or missed", async (t) => {
      const writing = writers.map((w) => w.write());
      const progress = () => {
        const enough = writers.map((w) => w.acked.length + 3);
        const behind = () => writers.filter((w, i) => w.acked.length < enough[i]).length;
        return until(() => behind() === 0, () => `${behind()} visitors make no progress`);
      };
      const stops = [];
      for (let round = 0; round < RESTARTS; round++) {
        await progress();
        stops.push(await server.succeed(GRACE));
      }
      await progress();
      for (const writer of writers) writer.over = true;
      await Promise.all(writing);
      for (const writer of writers) await writer.check();
      t.diagnostic(`${writers.length} visitors with two tabs each, ${RESTARTS} restarts, ${writers.reduce((n, w) => n + w.acked.length, 0)} messages acked, none lost; ` +
        `the processes took ${stops.map((ms) => Math.round(ms)).join(" and ")} ms to stop`);
    });
  });
}
