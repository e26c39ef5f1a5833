// The agents' list of conversations: what is known about each, and which of them the list shows, in which order.
import { get } from '../lib/api.js';
import { parse } from '../lib/time.js';

const PAGE = 50;
const MOST = 1000; // the server gives no more in one answer
const RECOUNT = 400;

/** From the API's object to ours. */
function fromAPI(row) {
  return {
    id: row.id,
    name: row.display_name || '',
    phone: row.phone_number || '',
    email: row.email || '',
    status: row.status || 'active',
    page: row.page_url || '',
    pageTitle: row.page_title || '',
    locale: row.locale || '',
    created: parse(row.created_at),
    last: row.last_message || '',
    lastAt: parse(row.last_message_time) ?? parse(row.created_at) ?? new Date(),
    lastType: row.last_type || 'text',
    lastFrom: row.last_sender || '',
    messages: Number(row.message_count) || 0,
    unread: Number(row.unread_count) || 0,
    waiting: parse(row.waiting_since),
    online: Boolean(row.online),
    seen: parse(row.last_seen ?? row.last_activity_at ?? row.last_activity),
    blocked: Boolean(row.blocked),
    rating: Number(row.rating) || 0,
    ratingComment: row.rating_comment || '',
    readByVisitor: Number(row.visitor_read_id) || 0,
    receivedByVisitor: Number(row.visitor_received_id) || 0,
  };
}

/** The wire's names of what thread_updated may carry, and ours. */
const PATCHES = {
  status: (v) => ({ status: v }),
  blocked: (v) => ({ blocked: Boolean(v) }),
  display_name: (v) => ({ name: v ?? '' }),
  phone_number: (v) => ({ phone: v ?? '' }),
  email: (v) => ({ email: v ?? '' }),
  page_url: (v) => ({ page: v ?? '' }),
  page_title: (v) => ({ pageTitle: v ?? '' }),
  rating: (v) => ({ rating: Number(v) || 0 }),
  rating_comment: (v) => ({ ratingComment: v ?? '' }),
  waiting_since: (v) => ({ waiting: parse(v) }),
  unread_count: (v) => ({ unread: Number(v) || 0 }),
};

const BELONGS = {
  active: (thread) => thread.status === 'active',
  waiting: (thread) => thread.status === 'active' && thread.waiting !== null,
  closed: (thread) => thread.status === 'closed',
};

const newest = (a, b) => b.lastAt - a.lastAt || (a.id < b.id ? 1 : -1);
const longest = (a, b) => a.waiting - b.waiting || newest(a, b);

/**
 * Events: `change` (something to draw anew). `state` is 'loading', 'ready' or 'failed'.
 * A search looks into all conversations, whatever the filter.
 */
export class Threads extends EventTarget {
  #map = new Map();
  #filter = 'active';
  #query = '';
  #found = new Set(); // what a search found
  #listed = null; // what the list shows, in order; null when it must be put together anew
  #cursor = null; // down to here nothing is missing; null while nothing came yet
  #more = true;
  #round = 0;
  #loading = null;
  #counts = null;
  #recountTimer = 0;
  #hidden = new Set();
  state = 'loading';
  error = null;

  get query() { return this.#query; }
  get filter() { return this.#filter; }
  get(id) { return this.#map.get(id); }
  /** The ids of all that this page knows, the newest first. */
  get known() { return [...this.#map.values()].sort(newest).map((thread) => thread.id); }

  /** {active, waiting, closed, unread, found?} as the server counted last, or null. */
  get counts() { return this.#counts; }

  /** What the list shows and this page has. */
  get listed() {
    if (this.#listed) return this.#listed;
    const belongs = this.#query ? (thread) => this.#found.has(thread.id) : BELONGS[this.#filter];
    const all = [...this.#map.values()];
    this.#listed = all.filter((thread) => belongs(thread) && !this.#hidden.has(thread.id) && (!this.#more || (this.#cursor && thread.lastAt >= this.#cursor)));
    this.#listed.sort(this.#filter === 'waiting' && !this.#query ? longest : newest);
    return this.#listed;
  }

  /** How many the list shows, with those that this page has not got yet. */
  get total() {
    const here = this.listed.length;
    if (!this.#more) return here;
    const counted = this.#query ? this.#counts?.found : this.#counts?.[this.#filter];
    return Math.max(here + 1, (counted ?? 0) - this.#hidden.size);
  }

  /** Messages that no agent has read, in all conversations. */
  get unread() {
    if (this.#counts) return Math.max(0, this.#counts.unread);
    let sum = 0;
    for (const thread of this.#map.values()) sum += thread.unread;
    return sum;
  }

  /** Who waits longest for an answer, of those that this page knows; never `but`. */
  nextWaiting(but) {
    const waiting = [...this.#map.values()].filter((thread) => BELONGS.waiting(thread) && thread.id !== but && !thread.blocked && !this.#hidden.has(thread.id));
    return waiting.sort(longest)[0] ?? null;
  }

  /** Shows other conversations: 'active', 'waiting' or 'closed'. */
  turnTo(filter) {
    if (filter === this.#filter && !this.#query) return undefined;
    this.#filter = filter;
    return this.#begin('');
  }

  search(query) { return query === this.#query ? undefined : this.#begin(query); }

  #begin(query) {
    this.#query = query;
    this.#found.clear();
    this.#more = true;
    this.#cursor = null;
    if (this.#counts) this.#counts = { ...this.#counts, found: undefined };
    this.state = 'loading';
    this.#changed();
    return this.load();
  }

  /** Loads the newest page anew; what came with later pages is kept. */
  async load() {
    const round = ++this.#round;
    const searching = this.#query;
    this.recount();
    const rows = await this.#fetch(round, PAGE, null);
    if (!rows) return;
    const oldest = rows.length < PAGE ? null : fromAPI(rows.at(-1)).lastAt;
    // What came with later pages joins this one if nothing happened at the seam.
    const joins = oldest && this.#cursor && this.#cursor <= oldest && this.#map.get(rows.at(-1).id)?.lastAt.getTime() === oldest.getTime();
    // Within the span of this page the server's word is final: what it left out is gone.
    const ids = new Set(rows.map((row) => row.id));
    const listed = this.#query ? [...this.#map.values()].filter((thread) => this.#found.has(thread.id)) : [...this.#map.values()].filter(BELONGS[this.#filter]);
    for (const thread of listed) {
      if (!ids.has(thread.id) && (!oldest || thread.lastAt > oldest)) this.#map.delete(thread.id);
    }
    if (searching) for (const id of ids) this.#found.add(id);
    this.#keep(rows);
    if (!oldest) this.#more = false;
    else if (!joins) [this.#cursor, this.#more] = [oldest, true];
    this.#changed();
    // The longest wait stands first, and the server sorts by last message: all of them are needed.
    if (this.#filter === 'waiting' && !searching) await this.reach(Infinity);
  }

  /** Loads older pages until the list has something at this place, or everything. */
  async reach(place) {
    while (this.#more && this.#cursor && this.state !== 'failed' && place >= this.listed.length) {
      this.#loading ??= this.#next(Math.min(MOST, Math.max(PAGE, place - this.listed.length + PAGE))).finally(() => { this.#loading = null; });
      if (!await this.#loading) return;
    }
  }

  /** Loads the next, older page. @returns {boolean} whether it came */
  async #next(limit) {
    const round = this.#round;
    // One millisecond of overlap: whoever shares the oldest one's time is not skipped, and no thread id enters the URL.
    // Those of that time come again, and after a rush they may be more than a page, so they are asked for on top of one.
    const oldest = this.#cursor.getTime();
    const again = this.listed.filter((thread) => thread.lastAt.getTime() === oldest).length;
    const size = Math.min(MOST, limit + again);
    const rows = await this.#fetch(round, size, new Date(oldest + 1));
    if (!rows) return false;
    const known = rows.every((row) => this.#map.has(row.id) && this.#map.get(row.id).lastAt >= this.#cursor);
    if (this.#query) for (const row of rows) this.#found.add(row.id);
    this.#keep(rows);
    this.#more = rows.length === size && !known;
    if (rows.length) this.#cursor = fromAPI(rows.at(-1)).lastAt;
    this.#changed();
    return true;
  }

  /** @returns {Promise<object[]|null>} null when it failed, or when something else is asked for by now */
  async #fetch(round, limit, before) {
    const what = new URLSearchParams({ limit });
    if (this.#query) what.set('q', this.#query);
    else what.set('status', this.#filter);
    if (before) what.set('before', before.toISOString());
    try {
      const rows = await get(`api/threads?${what}`);
      if (round !== this.#round) return null;
      this.state = 'ready';
      this.error = null;
      return rows;
    } catch (error) {
      if (round !== this.#round) return null;
      this.state = 'failed';
      this.error = error;
      this.#changed();
      return null;
    }
  }

  #keep(rows) {
    for (const row of rows) this.#map.set(row.id, { ...this.#map.get(row.id), ...fromAPI(row) });
  }

  /** Counts anew, soon; many changes at once are counted once. */
  recount() {
    if (this.#recountTimer) return;
    this.#recountTimer = setTimeout(async () => {
      this.#recountTimer = 0;
      const query = this.#query;
      try {
        const counts = await get(`api/threads/counts${query ? `?${new URLSearchParams({ q: query })}` : ''}`);
        if (query !== this.#query) return;
        this.#counts = counts;
        this.#changed();
      } catch { /* the list itself says what is wrong */ }
    }, this.#counts ? RECOUNT : 0);
  }

  /** Changes what is known about a conversation; an unknown one is added when `add` is set. */
  patch(id, fields, { add = false } = {}) {
    const known = this.#map.get(id);
    if (!known && (!add || this.#query)) return;
    const now = { ...(known ?? fromAPI({ id })), ...fields };
    this.#map.set(id, now);
    // The count of all is mended at once, and counted anew soon.
    const unread = now.unread - (known?.unread ?? 0);
    if (this.#counts && unread) this.#counts = { ...this.#counts, unread: this.#counts.unread + unread };
    if (!known || known.status !== now.status || known.unread !== now.unread || Boolean(known.waiting) !== Boolean(now.waiting)) this.recount();
    this.#changed();
  }

  /** What thread_updated told. */
  updated({ id, ...told }) {
    const fields = {};
    for (const [name, ours] of Object.entries(PATCHES)) if (name in told) Object.assign(fields, ours(told[name]));
    if (this.#map.has(id)) this.patch(id, fields);
    else this.recount();
  }

  /** A message that was just stored. `watched`: an agent is looking at it here. */
  message(message, { watched }) {
    const id = message.thread_id;
    const known = this.#map.get(id);
    const at = parse(message.created_at) ?? new Date();
    const fromVisitor = message.sender_type === 'visitor';
    const answered = !fromVisitor && message.sender_type !== 'system';
    this.patch(id, {
      last: message.content_text || '', lastType: message.content_type, lastFrom: message.sender_type,
      lastAt: at, messages: (known?.messages ?? 0) + 1,
      unread: fromVisitor && !watched ? (known?.unread ?? 0) + 1 : (known?.unread ?? 0),
      ...(fromVisitor && { online: true, seen: at, status: 'active', waiting: known?.waiting ?? at }),
      ...(answered && { waiting: null }),
    }, { add: true });
  }

  /** All messages of a conversation were deleted; it keeps its place. */
  emptied(id) {
    if (this.#map.has(id)) this.patch(id, { last: '', lastType: 'text', lastFrom: '', messages: 0, unread: 0, waiting: null });
  }

  /** Hides a conversation that is about to be deleted, or shows it again. */
  hide(id, on) {
    if (on) this.#hidden.add(id); else this.#hidden.delete(id);
    this.#changed();
  }

  remove(id) {
    this.#hidden.delete(id);
    if (!this.#map.delete(id)) return;
    this.recount();
    this.#changed();
  }

  clear() {
    this.#map.clear();
    this.#more = false;
    this.recount();
    this.#changed();
  }

  /** Takes in a conversation that came some other way than by the list, if it is unknown. */
  know(row) {
    if (!this.#map.has(row.id)) this.#map.set(row.id, fromAPI(row));
    this.#listed = null;
  }

  #changed() {
    this.#listed = null;
    this.dispatchEvent(new Event('change'));
  }
}
