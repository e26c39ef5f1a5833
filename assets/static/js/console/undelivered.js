// Messages that Telegram did not take after many tries: a mark at each, with a button that has it sent again.
import { get, post } from '../lib/api.js';
import { byId, make } from '../lib/dom.js';
import { t } from '../lib/i18n.js';

/** Shows whether a channel works; what helps stands on the diagnostics page. */
export function channelState({ ok }) { byId('channel-trouble').hidden = ok; }

export class Undelivered {
  #all = new Map(); // by message id
  #changed;

  /** @param {(messageID: number) => void} changed the mark of a message has come or gone */
  constructor(changed) { this.#changed = changed; }

  async load() {
    const { undelivered, channels } = await get('/api/undelivered');
    channels.forEach(channelState);
    const before = [...this.#all.keys()];
    this.#all = new Map(undelivered.map((row) => [row.message_id, row]));
    for (const id of new Set([...before, ...this.#all.keys()])) this.#changed(id);
  }

  /** Takes in the event message_undelivered. */
  take(row) {
    if (row.waiting) this.#all.delete(row.message_id);
    else this.#all.set(row.message_id, row);
    this.#changed(row.message_id);
  }

  /** What stands below a message's entry, null for nothing. */
  mark(entry) {
    const row = this.#all.get(entry.id);
    if (!row) return null;
    const again = make('button', { type: 'button', className: 'text retry', onclick: () => this.#again(row, again) }, t('console.send_again'));
    return make('div', { className: 'failure undelivered', attrs: { role: 'status' } },
      make('span', { title: row.reason }, t('console.undelivered')), again);
  }

  async #again(row, button) {
    button.disabled = true;
    try {
      await post('/api/undelivered/send', { thread_id: row.thread_id, message_id: row.message_id });
      this.take({ ...row, waiting: true });
    } catch {
      button.disabled = false;
    }
  }
}
