// Messages that are not stored by the server yet. Each is written to localStorage under its own key before it is sent, and
// removed when the server has acknowledged it, so that neither a reload nor a server crash loses one. The client_id makes
// repeated sending harmless, even from two tabs at once. Messages are sent one at a time, to keep their order. A message's file
// is uploaded first; the message then refers to its URL.
import * as blobs from './blob-store.js';
import { Refused } from './connection.js';
/** @import { BrowserStorage } from './browser-storage.js' */

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
 * An unsent message. Items are sent in order of n. One with a file has its url once the file is uploaded; the file itself is in blob-store.js
 * under the client_id.
 * @typedef {object} Item
 * @property {string} client_id
 * @property {string} thread_id
 * @property {string} text
 * @property {number} n
 * @property {string} [failed] the code of the error, after the last try
 * @property {'image' | 'audio' | 'file'} [type]
 * @property {{name: string, size: number, mime: string, width?: number, height?: number}} [file]
 * @property {string} [url]
 * @property {boolean} [again] the file was uploaded a second time
 */

/**
 * @typedef {Record<`out.${string}`, Item>} Stored
 * @typedef {object} Events
 * @property {CustomEvent<{item: Item, state: 'waiting' | 'sending' | 'failed' | 'gone', code?: string}>} change
 * @property {CustomEvent<{item: Item, share: number}>} progress
 * @property {CustomEvent<{item: Item, message?: Protocol.Message}>} sent
 */

export class Outbox extends /** @type {new () => TypedEventTarget<Events>} */ (EventTarget) {
  #store;
  #send;
  /** @type {Map<string, Item>} */
  #items = new Map();
  #running = false;
  #timer = 0;
  #last = 0;
  /** The upload in progress. @type {{id: string, stop: AbortController} | null} */
  #now = null;

  /**
   * @param {BrowserStorage<Stored>} store where items are kept
   * @param {(item: Item) => Promise<Protocol.Message>} send resolves with the stored message or throws Refused
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
        const item = /** @type {Item} */ (value);
        this.#items.set(id, item);
        this.#emit('change', { item, state: item.failed ? 'failed' : 'waiting' });
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
      const item = this.#store.get(/** @type {keyof Stored} */ (key));
      if (item?.client_id && !this.#items.has(item.client_id)) this.#items.set(item.client_id, item);
    }
  }

  /**
   * Makes an item with the next place in the order, without putting it into the outbox.
   * @param {string} threadID @param {string} text @param {Pick<Item, 'type' | 'file'>} more @returns {Item}
   */
  prepare(threadID, text, more = {}) {
    this.#last = Math.max(Date.now() * 1000, this.#last + 1);
    return { client_id: newID(), thread_id: threadID, text, n: this.#last, ...more };
  }

  /** @param {Item} item */
  put(item) {
    this.#items.set(item.client_id, item);
    this.#store.set(`out.${item.client_id}`, item);
    this.#emit('change', { item, state: 'waiting' });
  }

  /** @param {string} threadID @param {string} text */
  add(threadID, text) { this.put(this.prepare(threadID, text)); }

  /** @param {string} clientID */
  retry(clientID) {
    const item = this.#items.get(clientID);
    if (!item) return;
    delete item.failed;
    delete item.again;
    this.#store.set(`out.${clientID}`, item);
    this.#emit('change', { item, state: 'waiting' });
    this.flush();
  }

  /** @param {string} clientID */
  drop(clientID) {
    const item = this.#items.get(clientID);
    if (!item) return;
    this.#forget(item);
    this.#emit('change', { item, state: 'gone' });
  }

  /** Removes an item because its message was received from the server by other means than the ack. @param {string} clientID @param {Protocol.Message} message */
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
          const { code = '', retryAfter } = /** @type {Failure} */ (error);
          if (this.#stale(item, code)) continue;
          tries++;
          if (code === 'offline') {
            this.#emit('change', { item, state: 'waiting' });
            return; // flush runs again after the next connect
          }
          if (!TRANSIENT.has(code) || (tries >= TRIES_WHILE_ONLINE && code !== 'rate_limit_exceeded')) {
            tries = 0;
            this.#fail(item, code);
            continue;
          }
          this.#emit('change', { item, state: 'waiting', code });
          const wait = Math.min(Math.max(retryAfter || 0, 400 * 2 ** tries), 30_000);
          this.#timer = setTimeout(() => this.flush(), wait);
          return;
        }
      }
    } finally {
      this.#running = false;
    }
  }

  /** Uploads the item's file, if it has one that is not uploaded yet. @param {Item} item */
  async #upload(item) {
    const { file } = item;
    if (!file || item.url) return;
    const stop = new AbortController();
    this.#now = { id: item.client_id, stop };
    try {
      const { upload } = await import('./upload.js').catch(() => { throw new Refused('offline'); });
      const stored = await upload({ ...item, file }, { signal: stop.signal, progress: (share) => this.#emit('progress', { item, share }) });
      Object.assign(item, { url: stored.url, type: stored.content_type });
      if (this.#items.has(item.client_id)) this.#store.set(`out.${item.client_id}`, item);
    } finally {
      this.#now = null;
    }
  }

  /** The server deletes an uploaded file whose message does not come within an hour. Then it is uploaded again, once. @param {Item} item @param {string} code */
  #stale(item, code) {
    if (code !== 'validation_error' || !item.url || item.again) return false;
    delete item.url;
    item.again = true;
    return true;
  }

  /** @param {Item} item @param {string} code */
  #fail(item, code) {
    item.failed = code;
    this.#store.set(`out.${item.client_id}`, item);
    this.#emit('change', { item, state: 'failed', code });
  }

  /** @param {Item} item */
  #forget(item) {
    this.#items.delete(item.client_id);
    this.#store.remove(`out.${item.client_id}`);
    if (this.#now?.id === item.client_id) this.#now.stop.abort();
    if (item.file) blobs.forget(item.client_id);
  }

  /** @template {keyof Events} Type @param {Type} type @param {Events[Type]['detail']} detail */
  #emit(type, detail) { this.dispatchEvent(new CustomEvent(type, { detail })); }
}
