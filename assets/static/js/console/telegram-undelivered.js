// Messages that could not be delivered to Telegram after many tries: each has a mark and a button to send it again. A line above
// the list is shown while there are such messages or Telegram is failing, and another one while visitors cannot connect because
// the origin of their page is refused.
import { get, post } from '../lib/api.js';
import { byId, make } from '../lib/dom.js';
import { t } from '../lib/i18n.js';

/** @typedef {Protocol.UndeliveredMessage} Row */

export class Undelivered {
  /** @type {Map<number, Row>} */
  #all = new Map(); // by message id
  #trouble = false;
  #loading = false;
  #round = 0; // number of the last load; results of earlier ones are ignored
  #put;

  /** @param {(messageID: number, mark: ?Node) => void} put sets or removes (null) the mark below a shown message */
  constructor(put) { this.#put = put; }

  async load() {
    const round = ++this.#round;
    this.#loading = true;
    const { undelivered, channels, refused_origin: refused } = await get('api/undelivered').finally(() => { if (round === this.#round) this.#loading = false; });
    if (round !== this.#round) return;
    const line = byId('origin-trouble');
    line.hidden = !refused;
    if (refused) line.textContent = t('console.origin_trouble', refused);
    const before = [...this.#all.keys()];
    this.#all = new Map(undelivered.map((row) => [row.message_id, row]));
    for (const id of new Set([...before, ...this.#all.keys()])) this.#put(id, this.#mark(id));
    this.#trouble = channels.some(({ ok }) => !ok);
    this.#show();
  }

  /** Applies the event message_undelivered. @param {Row} row */
  take(row) {
    if (row.waiting) this.#all.delete(row.message_id);
    else this.#all.set(row.message_id, row);
    this.#put(row.message_id, this.#mark(row.message_id));
    this.#show();
    this.#reload();
  }

  /** Applies the event channel_state. @param {Protocol.ChannelState} state */
  channel({ ok }) {
    this.#trouble = !ok;
    this.#show();
    this.#reload();
  }

  /** Loads again if a request is pending, because its response may be older than the event. */
  #reload() {
    if (this.#loading) this.load().catch(() => { /* loaded at the next connect */ });
  }

  /** Marks a message that is now shown, if it is undelivered. @param {number} id */
  show(id) {
    if (this.#all.has(id)) this.#put(id, this.#mark(id));
  }

  /** @param {number} id */
  #mark(id) {
    const row = this.#all.get(id);
    if (!row) return null;
    /** @type {HTMLButtonElement} */
    const again = make('button', { type: 'button', className: 'text retry', onclick: () => this.#again(row, again) }, t('console.send_again'));
    return make('div', { className: 'failure undelivered', attrs: { role: 'status' } },
      make('span', { title: row.reason }, t('console.undelivered')), again);
  }

  #show() { byId('channel-trouble').hidden = !this.#trouble && !this.#all.size; }

  /** @param {Row} row @param {HTMLButtonElement} button */
  async #again(row, button) {
    button.disabled = true;
    try {
      await post('api/undelivered/send', { thread_id: row.thread_id, message_id: row.message_id });
      this.take({ ...row, waiting: true });
    } catch {
      button.disabled = false;
    }
  }
}
