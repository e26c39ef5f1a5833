// The agents' list of conversations: what is known about each, in the order of last activity.
import { get } from '../lib/api.js';
import { parse } from '../lib/time.js';

const PAGE = 50;

/** From the API's object to ours. */
function fromAPI(row) {
  return {
    id: row.id,
    name: row.display_name || '',
    phone: row.phone_number || '',
    status: row.status || 'active',
    page: row.page_url || '',
    locale: row.locale || '',
    created: parse(row.created_at),
    active: parse(row.last_activity_at ?? row.last_activity) ?? parse(row.created_at) ?? new Date(),
    last: row.last_message || '',
    lastAt: parse(row.last_message_time),
    lastType: row.last_type || 'text',
    lastFrom: row.last_sender || '',
    messages: Number(row.message_count) || 0,
    unread: Number(row.unread_count) || 0,
    online: Boolean(row.online),
    seen: parse(row.last_seen ?? row.last_activity_at ?? row.last_activity),
    blocked: Boolean(row.blocked),
    readByVisitor: Number(row.visitor_read_id) || 0,
  };
}

/**
 * Events: `change` (something to draw anew). `state` is 'loading', 'ready' or
 * 'failed'; `more` says whether older conversations exist.
 */
export class Threads extends EventTarget {
  #map = new Map();
  #query = '';
  #round = 0;
  state = 'loading';
  more = false;
  error = null;

  get query() { return this.#query; }
  get(id) { return this.#map.get(id); }

  /** Newest activity first. */
  get all() { return [...this.#map.values()].sort((a, b) => b.active - a.active || (a.id < b.id ? -1 : 1)); }
  get unread() { return [...this.#map.values()].reduce((sum, thread) => sum + thread.unread, 0); }

  /** Loads the newest page anew; what scrolled in before is kept while no search is on. */
  async load(query = this.#query) {
    const round = ++this.#round;
    const fresh = query !== this.#query;
    this.#query = query;
    if (fresh) {
      this.#map.clear();
      this.state = 'loading';
      this.#changed();
    }
    await this.#fetch(round, PAGE, query ? `&q=${encodeURIComponent(query)}` : '', (rows) => {
      // Within the span of this page the server's word is final: what it left out is gone.
      const ids = new Set(rows.map((row) => row.id));
      const oldest = rows.length < PAGE ? null : fromAPI(rows.at(-1)).active;
      for (const thread of this.#map.values()) {
        if (!ids.has(thread.id) && (!oldest || thread.active > oldest)) this.#map.delete(thread.id);
      }
    });
  }

  /** Loads the next, older page. */
  async loadMore() {
    if (!this.more || this.state === 'loading') return;
    // One millisecond of overlap: whoever shares the oldest one's time is not skipped, and no thread id enters the URL.
    // Those of that time come again, and after a rush they may be more than a page, so they are asked for on top of one.
    const { all } = this;
    const oldest = all.at(-1).active.getTime();
    const again = all.filter((thread) => thread.active.getTime() === oldest).length;
    const before = new Date(oldest + 1).toISOString();
    this.state = 'loading';
    const known = this.#map.size;
    await this.#fetch(this.#round, PAGE + again, `&before=${encodeURIComponent(before)}${this.#query ? `&q=${encodeURIComponent(this.#query)}` : ''}`);
    if (this.#map.size === known) this.more = false;
  }

  async #fetch(round, limit, query, prepare) {
    try {
      const rows = await get(`/api/threads?limit=${limit}${query}`);
      if (round !== this.#round) return;
      prepare?.(rows);
      for (const row of rows) this.#map.set(row.id, { ...this.#map.get(row.id), ...fromAPI(row) });
      this.more = rows.length === limit;
      this.state = 'ready';
      this.error = null;
    } catch (error) {
      if (round !== this.#round) return;
      this.state = 'failed';
      this.error = error;
    }
    this.#changed();
  }

  /** Changes what is known about a conversation; an unknown one is added when `add` is set. */
  patch(id, fields, { add = false } = {}) {
    const known = this.#map.get(id);
    if (!known && (!add || this.#query)) return;
    this.#map.set(id, { ...(known ?? fromAPI({ id })), ...fields });
    this.#changed();
  }

  /** A message that was just stored. `watched`: an agent is looking at it here. */
  message(message, { watched }) {
    const id = message.thread_id;
    const known = this.#map.get(id);
    const at = parse(message.created_at) ?? new Date();
    const fromVisitor = message.sender_type === 'visitor';
    this.patch(id, {
      last: message.content_text || '', lastType: message.content_type, lastFrom: message.sender_type,
      lastAt: at, active: at, messages: (known?.messages ?? 0) + 1,
      unread: fromVisitor && !watched ? (known?.unread ?? 0) + 1 : (known?.unread ?? 0),
      ...(fromVisitor && { online: true, seen: at }),
    }, { add: true });
  }

  remove(id) {
    if (this.#map.delete(id)) this.#changed();
  }

  clear() {
    this.#map.clear();
    this.more = false;
    this.#changed();
  }

  #changed() { this.dispatchEvent(new Event('change')); }
}
