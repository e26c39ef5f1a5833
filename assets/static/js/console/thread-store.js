// The data of the conversation list: the loaded conversations, and which of them the list shows in which order.
import { get } from '../lib/api.js';
import { parse } from '../lib/time.js';

const PAGE = 50;
const MOST = 1000; // the server's limit per request
const RECOUNT = 400;

/** Converts a conversation from the API. */
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

/** Converts the fields of the event thread_updated. */
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

/** Events: `change`. `state` is 'loading', 'ready' or 'failed'. A search includes all conversations, whatever the filter. */
export class ThreadStore extends EventTarget {
  #map = new Map();
  #filter = 'active';
  #query = '';
  #found = new Set(); // ids found by the search
  #listed = null; // cache of `listed`; null when outdated
  #cursor = null; // time of the oldest conversation down to which the list is complete; null before the first load
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
  /** The ids of all loaded conversations, the newest first. */
  get known() { return [...this.#map.values()].sort(newest).map((thread) => thread.id); }

  /** {active, waiting, closed, unread, found?} as last counted by the server, or null. */
  get counts() { return this.#counts; }

  /** The loaded conversations that the list shows, in order. */
  get listed() {
    if (this.#listed) return this.#listed;
    const belongs = this.#query ? (thread) => this.#found.has(thread.id) : BELONGS[this.#filter];
    const all = [...this.#map.values()];
    this.#listed = all.filter((thread) => belongs(thread) && !this.#hidden.has(thread.id) && (!this.#more || (this.#cursor && thread.lastAt >= this.#cursor)));
    this.#listed.sort(this.#filter === 'waiting' && !this.#query ? longest : newest);
    return this.#listed;
  }

  /** The length of the list, including conversations that are not loaded. */
  get total() {
    const here = this.listed.length;
    if (!this.#more) return here;
    const counted = this.#query ? this.#counts?.found : this.#counts?.[this.#filter];
    return Math.max(here + 1, (counted ?? 0) - this.#hidden.size);
  }

  /** The number of messages that no agent has read, in all conversations. */
  get unread() {
    if (this.#counts) return Math.max(0, this.#counts.unread);
    let sum = 0;
    for (const thread of this.#map.values()) sum += thread.unread;
    return sum;
  }

  /** The loaded conversation that has waited longest for an answer, except `but`. */
  nextWaiting(but) {
    const waiting = [...this.#map.values()].filter((thread) => BELONGS.waiting(thread) && thread.id !== but && !thread.blocked && !this.#hidden.has(thread.id));
    return waiting.sort(longest)[0] ?? null;
  }

  /** Sets the filter: 'active', 'waiting' or 'closed'. */
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

  /** Reloads the first page; conversations of later pages are kept. */
  async load() {
    const round = ++this.#round;
    const searching = this.#query;
    this.recount();
    const rows = await this.#fetch(round, PAGE, null);
    if (!rows) return;
    const oldest = rows.length < PAGE ? null : fromAPI(rows.at(-1)).lastAt;
    // The later pages are still valid if nothing changed at the boundary.
    const joins = oldest && this.#cursor && this.#cursor <= oldest && this.#map.get(rows.at(-1).id)?.lastAt.getTime() === oldest.getTime();
    // In the time range of this page, conversations that the server did not return no longer belong to the list.
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
    // The longest wait comes first, but the server sorts by last message, so all of them have to be loaded.
    if (this.#filter === 'waiting' && !searching) await this.reach(Infinity);
  }

  /** Loads older pages until the list has a conversation at this index, or is complete. */
  async reach(place) {
    while (this.#more && this.#cursor && this.state !== 'failed' && place >= this.listed.length) {
      this.#loading ??= this.#next(Math.min(MOST, Math.max(PAGE, place - this.listed.length + PAGE))).finally(() => { this.#loading = null; });
      if (!await this.#loading) return;
    }
  }

  /** Loads the next, older page. @returns {boolean} whether it succeeded */
  async #next(limit) {
    const round = this.#round;
    // Pages overlap by one millisecond, so that conversations with the same time as the oldest one are not skipped, and no thread
    // id enters the URL. Known ones of that time are returned again, possibly more than a page, so they are added to the limit.
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

  /** @returns {Promise<object[]|null>} null if it failed or another list has been requested meanwhile */
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

  /** Refreshes the counts after a short delay, once for several changes. */
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
      } catch { /* the list shows the error */ }
    }, this.#counts ? RECOUNT : 0);
  }

  /** Updates a conversation; an unknown one is added if `add` is set. */
  patch(id, fields, { add = false } = {}) {
    const known = this.#map.get(id);
    if (!known && (!add || this.#query)) return;
    const now = { ...(known ?? fromAPI({ id })), ...fields };
    this.#map.set(id, now);
    // The total is corrected at once, and refreshed from the server soon.
    const unread = now.unread - (known?.unread ?? 0);
    if (this.#counts && unread) this.#counts = { ...this.#counts, unread: this.#counts.unread + unread };
    if (!known || known.status !== now.status || known.unread !== now.unread || Boolean(known.waiting) !== Boolean(now.waiting)) this.recount();
    this.#changed();
  }

  /** Applies the event thread_updated. */
  updated({ id, ...told }) {
    const fields = {};
    for (const [name, ours] of Object.entries(PATCHES)) if (name in told) Object.assign(fields, ours(told[name]));
    if (this.#map.has(id)) this.patch(id, fields);
    else this.recount();
  }

  /** Applies a new message. `watched`: it is visible in this console. */
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

  /** All messages of a conversation were deleted; the conversation stays in the list. */
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

  /** Adds a conversation that was not loaded with the list, if it is unknown. */
  know(row) {
    if (!this.#map.has(row.id)) this.#map.set(row.id, fromAPI(row));
    this.#listed = null;
  }

  #changed() {
    this.#listed = null;
    this.dispatchEvent(new Event('change'));
  }
}
