// Messages that are not stored by the server yet. Each is written to localStorage under its own key before it is sent, and
// removed when the server has acknowledged it, so that neither a reload nor a server crash loses one. The client_id makes
// repeated sending harmless, even from two tabs at once. Messages are sent one at a time, to keep their order. A message's file
// is uploaded first; the message then refers to its URL.
import * as blobs from './blob-store.js';
import { Refused } from './connection.js';

const TRANSIENT = new Set(['offline', 'timeout', 'db_save_failed', 'internal_error', 'rate_limit_exceeded']);
const TRIES_WHILE_ONLINE = 4;

/** A UUID v4; crypto.randomUUID exists only on https and localhost, but the page may be opened by IP address. */
export function newID() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const b = crypto.getRandomValues(new Uint8Array(16));
  b[6] = (b[6] & 0x0f) | 0x40;
  b[8] = (b[8] & 0x3f) | 0x80;
  const hex = [...b].map((x) => x.toString(16).padStart(2, '0')).join('');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

/**
 * Events: `change` {item, state: 'waiting'|'sending'|'failed'|'gone'}, `progress` {item, share} and `sent` {item, message}. An
 * item is {client_id, thread_id, text, n, failed?}; items are sent in order of n. One with a file also has type, file: {name,
 * size, mime, width, height}, and url once the file is uploaded; the file itself is in blob-store.js under the client_id.
 */
export class Outbox extends EventTarget {
  #store;
  #send;
  #items = new Map();
  #running = false;
  #timer = 0;
  #last = 0;
  /** The upload in progress: {id, stop: AbortController}. */
  #now = null;

  /**
   * @param {BrowserStorage} store where items are kept
   * @param {(item) => Promise<object>} send resolves with the stored message or throws Refused
   */
  constructor(store, send) {
    super();
    this.#store = store;
    this.#send = send;
    this.reload();
    store.watch((key, value) => {
      if (!key.startsWith('out.')) return;
      const id = key.slice(4);
      const known = this.#items.get(id);
      if (value) {
        this.#items.set(id, value);
        this.#emit('change', { item: value, state: value.failed ? 'failed' : 'waiting' });
      } else if (known) {
        this.#items.delete(id);
        this.#emit('change', { item: known, state: 'gone' });
      }
    });
  }

  /** Items still to be sent, oldest first. */
  get items() { return [...this.#items.values()].sort((a, b) => a.n - b.n); }
  get waiting() { return this.items.filter((item) => !item.failed).length; }

  /** Loads items from storage, such as those of an earlier page. */
  reload() {
    for (const key of this.#store.keys('out.')) {
      const item = this.#store.get(key);
      if (item?.client_id && !this.#items.has(item.client_id)) this.#items.set(item.client_id, item);
    }
  }

  /** Makes an item with the next place in the order, without putting it into the outbox. */
  prepare(threadID, text, more = {}) {
    this.#last = Math.max(Date.now() * 1000, this.#last + 1);
    return { client_id: newID(), thread_id: threadID, text, n: this.#last, ...more };
  }

  put(item) {
    this.#items.set(item.client_id, item);
    this.#store.set(`out.${item.client_id}`, item);
    this.#emit('change', { item, state: 'waiting' });
  }

  add(threadID, text) { this.put(this.prepare(threadID, text)); }

  retry(clientID) {
    const item = this.#items.get(clientID);
    if (!item) return;
    delete item.failed;
    delete item.again;
    this.#store.set(`out.${clientID}`, item);
    this.#emit('change', { item, state: 'waiting' });
    this.flush();
  }

  drop(clientID) {
    const item = this.#items.get(clientID);
    if (!item) return;
    this.#forget(item);
    this.#emit('change', { item, state: 'gone' });
  }

  /** Removes an item because its message was received from the server by other means than the ack. */
  acknowledge(clientID, message) {
    const item = this.#items.get(clientID);
    if (!item) return;
    this.#forget(item);
    this.#emit('sent', { item, message });
  }

  /** Sends the waiting items one after the other, until there are none or sending has to wait. */
  async flush() {
    if (this.#running) return;
    this.#running = true;
    clearTimeout(this.#timer);
    let tries = 0;
    try {
      for (;;) {
        const item = this.items.find((one) => !one.failed);
        if (!item) return;
        this.#emit('change', { item, state: 'sending' });
        try {
          await this.#upload(item);
          const message = await this.#send(item);
          tries = 0;
          // Another tab may have got its ack first and removed the item from storage; this page still has to show the message.
          if (this.#items.has(item.client_id)) this.#forget(item);
          this.#emit('sent', { item, message });
        } catch (error) {
          if (!this.#items.has(item.client_id)) continue; // removed meanwhile
          if (this.#stale(item, error)) continue;
          tries++;
          if (error.code === 'offline') {
            this.#emit('change', { item, state: 'waiting' });
            return; // flush runs again after the next connect
          }
          if (!TRANSIENT.has(error.code) || (tries >= TRIES_WHILE_ONLINE && error.code !== 'rate_limit_exceeded')) {
            tries = 0;
            this.#fail(item, error);
            continue;
          }
          this.#emit('change', { item, state: 'waiting', code: error.code });
          const wait = Math.min(Math.max(error.retryAfter || 0, 400 * 2 ** tries), 30_000);
          this.#timer = setTimeout(() => this.flush(), wait);
          return;
        }
      }
    } finally {
      this.#running = false;
    }
  }

  /** Uploads the item's file, if it has one that is not uploaded yet. */
  async #upload(item) {
    if (!item.file || item.url) return;
    const stop = new AbortController();
    this.#now = { id: item.client_id, stop };
    try {
      const { upload } = await import('./upload.js').catch(() => { throw new Refused('offline'); });
      const stored = await upload(item, { signal: stop.signal, progress: (share) => this.#emit('progress', { item, share }) });
      Object.assign(item, { url: stored.url, type: stored.content_type ?? item.type });
      if (this.#items.has(item.client_id)) this.#store.set(`out.${item.client_id}`, item);
    } finally {
      this.#now = null;
    }
  }

  /** The server deletes an uploaded file whose message does not come within an hour. Then it is uploaded again, once. */
  #stale(item, error) {
    if (error.code !== 'validation_error' || !item.url || item.again) return false;
    delete item.url;
    item.again = true;
    return true;
  }

  #fail(item, error) {
    item.failed = error.code;
    this.#store.set(`out.${item.client_id}`, item);
    this.#emit('change', { item, state: 'failed', code: error.code, message: error.message });
  }

  #forget(item) {
    this.#items.delete(item.client_id);
    this.#store.remove(`out.${item.client_id}`);
    if (this.#now?.id === item.client_id) this.#now.stop.abort();
    if (item.file) blobs.forget(item.client_id);
  }

  #emit(type, detail) { this.dispatchEvent(new CustomEvent(type, { detail })); }
}
