// The data of the conversation list: the loaded conversations, and which of them the list shows in which order.
import { get } from '../lib/api.js';
import { parse } from '../lib/format-time.js';

const PAGE = 50;
const MOST = 1000; // the server's limit per request
const RECOUNT = 400;

/** @typedef {'mine' | 'unassigned' | 'active' | 'waiting' | 'closed'} Filter */
/** @typedef {ReturnType<typeof fromAPI>} Thread */
/** @typedef {{id: string} & Partial<Protocol.Thread>} Row a conversation of the API, or what is known of it */

/** Converts a conversation from the API. @param {Row} row */
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
    lastID: Number(row.last_message_id) || 0,
    messages: Number(row.message_count) || 0,
    unread: Number(row.unread_count) || 0,
    waiting: parse(row.waiting_since),
    online: Boolean(row.online),
    onlineVersion: Number(row.online_version) || 0,
    seen: parse(row.last_activity_at ?? row.last_activity),
    blocked: Boolean(row.blocked),
    rating: Number(row.rating) || 0,
    ratingComment: row.rating_comment || '',
    assignee: row.assignee ?? null,
    statusBy: row.status_by ?? null,
    readByVisitor: Number(row.visitor_read_id) || 0,
    receivedByVisitor: Number(row.visitor_received_id) || 0,
    rev: Number(row.rev) || 0,
    stateRev: Number(row.rev) || 0, // of status, unread and waiting, which notifications of messages change as well
  };
}

/**
 * What is known of a conversation after it was read from the API, or an event held it, which may be older than what is known.
 * @param {Thread | undefined} known @param {Thread} read
 */
function merge(known, read) {
  if (!known || read.created && known.created && read.created > known.created) return read; // or it was deleted, and created again
  const { lastID, last, lastAt, lastType, lastFrom, messages, status, unread, waiting, stateRev } = known;
  return {
    ...(read.rev < known.rev ? known : read),
    ...(read.rev < known.rev || read.lastID < lastID) && { lastID, last, lastAt, lastType, lastFrom, messages },
    ...read.stateRev < stateRev ? { status, unread, waiting, stateRev } : { status: read.status, unread: read.unread, waiting: read.waiting, stateRev: read.stateRev },
    ...known.onlineVersion > read.onlineVersion ? { online: known.online, onlineVersion: known.onlineVersion } : { online: read.online, onlineVersion: read.onlineVersion },
    readByVisitor: Math.max(known.readByVisitor, read.readByVisitor),
    receivedByVisitor: Math.max(known.receivedByVisitor, read.receivedByVisitor),
  };
}

/** @type {Record<Filter, (thread: Thread, me: number | undefined) => boolean>} */
const BELONGS = {
  mine: (thread, me) => thread.status === 'active' && me !== undefined && thread.assignee?.id === me,
  unassigned: (thread) => thread.status === 'active' && !thread.assignee,
  active: (thread) => thread.status === 'active',
  waiting: (thread) => thread.status === 'active' && thread.waiting !== null,
  closed: (thread) => thread.status === 'closed',
};

const newest = (/** @type {Thread} */ a, /** @type {Thread} */ b) => b.lastAt.getTime() - a.lastAt.getTime() || (a.id < b.id ? 1 : -1);
const longest = (/** @type {Thread} */ a, /** @type {Thread} */ b) => Number(a.waiting) - Number(b.waiting) || newest(a, b);

/** Events: `change`. `state` is 'loading', 'ready' or 'failed'. A search includes all conversations, whatever the filter. */
export class ThreadStore extends EventTarget {
  #me;
  /** @type {Map<string, Thread>} */
  #map = new Map();
  /** @type {Filter} */
  #filter = 'active';
  #query = '';
  /** @type {Set<string>} */
  #found = new Set(); // ids found by the search
  /** @type {Thread[] | null} */
  #listed = null; // cache of `listed`; null when outdated
  /** @type {Date | null} */
  #cursor = null; // time of the oldest conversation down to which the list is complete; null before the first load
  #more = true;
  #round = 0;
  /** @type {Promise<boolean> | null} */
  #loading = null;
  /** @type {Protocol.ThreadCounts | null} */
  #counts = null;
  #recountTimer = 0;
  /** @type {Set<string>} */
  #hidden = new Set();
  /** The revisions at which conversations were deleted. @type {Map<string, number>} */
  #gone = new Map();
  #old = 0; // how many conversations may have missed events
  /** @type {'loading' | 'ready' | 'failed'} */
  state = 'loading';
  /** Why loading failed. @type {unknown} */
  error = null;

  /** @param {() => number | undefined} [me] the id of the signed-in agent, once known */
  constructor(me = () => undefined) {
    super();
    this.#me = me;
  }

  get query() { return this.#query; }
  get filter() { return this.#filter; }
  /** @param {string} id */
  get(id) { return this.#map.get(id); }
  /** The ids of all loaded conversations, the newest first. */
  get known() { return [...this.#map.values()].sort(newest).map((thread) => thread.id); }

  /** As last counted by the server. */
  get counts() { return this.#counts; }

  /** The loaded conversations that the list shows, in order. */
  get listed() {
    if (this.#listed) return this.#listed;
    const complete = (/** @type {Thread} */ thread) => !this.#more || (this.#cursor && thread.lastAt >= this.#cursor);
    const listed = this.#belonging().filter((thread) => !this.#hidden.has(thread.id) && complete(thread));
    this.#listed = listed.sort(this.#filter === 'waiting' && !this.#query ? longest : newest);
    return listed;
  }

  /** The loaded conversations that the filter or the search selects. */
  #belonging() {
    const me = this.#me();
    return [...this.#map.values()].filter((thread) => (this.#query ? this.#found.has(thread.id) : BELONGS[this.#filter](thread, me)));
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

  /** The loaded conversation that has waited longest for an answer, except `but`. @param {string | null} but */
  nextWaiting(but) {
    const waiting = [...this.#map.values()].filter((thread) => BELONGS.waiting(thread, undefined) && thread.id !== but && !thread.blocked && !this.#hidden.has(thread.id));
    return waiting.sort(longest)[0] ?? null;
  }

  /** @param {Filter} filter */
  turnTo(filter) {
    if (filter === this.#filter && !this.#query) return undefined;
    this.#filter = filter;
    return this.#begin('');
  }

  /** @param {string} query */
  search(query) { return query === this.#query ? undefined : this.#begin(query); }

  /** @param {string} query */
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

  /** Reloads the first page; conversations of later pages are kept, unless their state may be old. */
  async load() {
    const round = ++this.#round;
    const searching = this.#query;
    this.recount();
    const size = Math.min(MOST, Math.max(PAGE, this.#old));
    const rows = await this.#fetch(round, size, null);
    if (!rows) return;
    this.#old = 0;
    const last = rows.at(-1);
    const oldest = rows.length < size || !last ? null : fromAPI(last).lastAt;
    // The later pages are still valid if nothing changed at the boundary.
    const joins = last && oldest && this.#cursor && this.#cursor <= oldest && this.#map.get(last.id)?.lastAt.getTime() === oldest.getTime();
    // In the time range of this page, conversations that the server did not return no longer belong to the list.
    const ids = new Set(rows.map((row) => row.id));
    for (const thread of this.#belonging()) {
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

  /** Loads older pages until the list has a conversation at this index, or is complete. @param {number} place */
  async reach(place) {
    while (this.#more && this.#cursor && this.state !== 'failed' && place >= this.listed.length) {
      this.#loading ??= this.#next(this.#cursor, Math.min(MOST, Math.max(PAGE, place - this.listed.length + PAGE))).finally(() => { this.#loading = null; });
      if (!await this.#loading) return;
    }
  }

  /** Loads the next page, older than the cursor. @param {Date} cursor @param {number} limit @returns {Promise<boolean>} whether it succeeded */
  async #next(cursor, limit) {
    const round = this.#round;
    // Pages overlap by one millisecond, so that conversations with the same time as the oldest one are not skipped, and no thread
    // id enters the URL. Known ones of that time are returned again, possibly more than a page, so they are added to the limit.
    const oldest = cursor.getTime();
    const again = this.listed.filter((thread) => thread.lastAt.getTime() === oldest).length;
    const size = Math.min(MOST, limit + again);
    const rows = await this.#fetch(round, size, new Date(oldest + 1));
    if (!rows) return false;
    const known = rows.every((row) => (this.#map.get(row.id)?.lastAt ?? 0) >= cursor);
    if (this.#query) for (const row of rows) this.#found.add(row.id);
    this.#keep(rows);
    this.#more = rows.length === size && !known;
    const last = rows.at(-1);
    if (last) this.#cursor = fromAPI(last).lastAt;
    this.#changed();
    return true;
  }

  /**
   * @param {number} round
   * @param {number} limit
   * @param {Date | null} before
   * @returns {Promise<Protocol.Thread[] | null>} null if it failed or another list has been requested meanwhile
   */
  async #fetch(round, limit, before) {
    const what = new URLSearchParams({ limit: String(limit) });
    if (this.#query) what.set('q', this.#query);
    else if (this.#filter === 'mine' || this.#filter === 'unassigned') {
      what.set('status', 'active');
      what.set('assignee', this.#filter === 'mine' ? String(this.#me() ?? 'none') : 'none');
    } else what.set('status', this.#filter);
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

  /** @param {Row[]} rows */
  #keep(rows) {
    for (const row of rows) {
      if (row.rev && row.rev <= (this.#gone.get(row.id) ?? 0)) continue; // read before it was deleted
      this.#map.set(row.id, merge(this.#map.get(row.id), fromAPI(row)));
    }
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

  /** Updates a conversation; an unknown one is added if `add` is set. @param {string} id @param {Partial<Thread>} fields */
  patch(id, fields, { add = false } = {}) {
    const known = this.#map.get(id);
    if (!known && (!add || this.#query)) return;
    const now = { ...(known ?? fromAPI({ id })), ...fields };
    this.#map.set(id, now);
    // The total is corrected at once, and refreshed from the server soon.
    const unread = now.unread - (known?.unread ?? 0);
    if (this.#counts && unread) this.#counts = { ...this.#counts, unread: this.#counts.unread + unread };
    if (!known || known.status !== now.status || known.unread !== now.unread || Boolean(known.waiting) !== Boolean(now.waiting) || known.assignee?.id !== now.assignee?.id) this.recount();
    this.#changed();
  }

  /** Moves a mark, which only grows. @param {string} id @param {'readByVisitor' | 'receivedByVisitor'} mark @param {number} last @param {number} rev */
  marked(id, mark, last, rev) {
    const known = this.#map.get(id);
    if (known && last > known[mark] && !(rev < known.rev)) this.patch(id, { [mark]: last });
  }

  /**
   * Applies an event about the visitor's presence, unless a newer one is known. A heartbeat has no version.
   * @param {string} id @param {boolean} online @param {number | undefined} version @param {Partial<Thread>} fields
   */
  presence(id, online, version, fields) {
    const known = this.#map.get(id)?.onlineVersion ?? 0;
    if (version && version <= known) return;
    this.patch(id, version || !known ? { ...fields, online, onlineVersion: version ?? 0 } : fields);
  }

  /** Versions of another connection say nothing: the next load is of all conversations. */
  forgetVersions() {
    this.#old = this.#map.size;
    for (const thread of this.#map.values()) thread.onlineVersion = 0;
  }

  /** Applies the event thread_updated. @param {Protocol.ServerEvents['thread_updated']} changes */
  updated(changes) {
    const known = this.#map.get(changes.id);
    if (known) this.patch(changes.id, merge(known, { ...fromAPI(changes), online: known.online, onlineVersion: known.onlineVersion }));
    else this.recount();
  }

  /**
   * Applies the event new_message_notification. `watched`: the message is visible in this console.
   * @param {Protocol.ServerEvents['new_message_notification']} told @param {{watched: boolean}} how
   */
  notified({ thread_id: id, display_name: name, status, unread_count: unread, waiting_since: waiting, rev }, { watched }) {
    const state = rev >= (this.#map.get(id)?.stateRev ?? 0) && { status, unread: watched ? 0 : unread, waiting: parse(waiting), stateRev: rev };
    this.patch(id, { ...(name && { name }), ...state }, { add: true });
  }

  /** Applies a new message. @param {Protocol.Message} message */
  message(message) {
    const id = message.thread_id;
    const known = this.#map.get(id);
    const at = parse(message.created_at) ?? new Date();
    this.patch(id, {
      ...message.id > (known?.lastID ?? 0) && {
        lastID: message.id, last: message.content_text, lastType: message.content_type, lastFrom: message.sender_type, lastAt: at, messages: (known?.messages ?? 0) + 1,
      },
      ...(message.sender_type === 'visitor') && { online: known?.onlineVersion ? known.online : true, seen: at },
    }, { add: true });
  }

  /** Hides a conversation that is about to be deleted, or shows it again. @param {string} id @param {boolean} on */
  hide(id, on) {
    if (on) this.#hidden.add(id); else this.#hidden.delete(id);
    this.#changed();
  }

  /** A conversation was deleted at this revision; 0 = unknown. @param {string} id @param {number} rev */
  remove(id, rev) {
    this.#hidden.delete(id);
    if (rev) this.#gone.set(id, rev);
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

  /** Adds a conversation that was not loaded with the list, if it is unknown. @param {Row} row */
  know(row) {
    if (!this.#map.has(row.id)) this.#map.set(row.id, fromAPI(row));
    this.#listed = null;
  }

  #changed() {
    this.#listed = null;
    this.dispatchEvent(new Event('change'));
  }
}
