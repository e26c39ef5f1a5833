// The message list of one conversation: order, grouping, day separators, scrolling.
import { advance } from './message-attachment.js';
import { address, addressNow } from './blob-store.js';
import { bubble, dayLine, progress, refill } from './message-bubble.js';
import { byId, make } from './dom.js';
import { count, t } from './i18n.js';
import { VirtualWindow } from './virtual-window.js';
import { dayKey, parse } from './time.js';

const GROUP = 2 * 60_000;
const NEAR = 96;
const ANNOUNCED = 280;

/*
 * An entry: {id, clientID, n, own, system, sender, text, type, url, file, preview, share, at, state, code, node}.
 * file is {name, bytes, thumb, width, height} as far as known; preview is a blob: URL of a file that this page has itself.
 * Stored messages have an id and are ordered by it; unsent ones follow after them, ordered by n (see outbox.js).
 * What a page inserts itself (see put) has a key, follows the message with the id `after`, and makes its own element.
 * node is the element while the entry is rendered, otherwise null (see virtual-window.js).
 */
const place = (e) => e.id || (e.key ? e.after : Infinity);
const before = (a, b) => {
  const [x, y] = [place(a), place(b)];
  if (x !== y) return x - y;
  return a.n - b.n;
};

export class MessageList extends EventTarget {
  #list = byId('messages');
  #log = byId('log');
  #scroller = byId('scroller');
  #pill = byId('pill');
  #announcer = byId('said');
  #entries = [];
  #window = new VirtualWindow({ list: this.#list, scroller: this.#scroller, entries: this.#entries, render: (i) => this.#render(i) });
  #own;
  #face;
  #outbox;
  #follow = true;
  #top = 0;
  #missed = 0;
  #readTo = 0;
  #deliveredTo = 0;
  #tools;
  #frame = 0;
  #olderPages = { more: null, busy: false };
  #inserted = new Map();

  /**
   * Events: `older` (the reader is near the top, and there are older messages), `seen` (the newest message is visible).
   * @param {object} o
   * @param {string[]} o.own sender types that count as this side
   * @param {(entry) => Node} o.face returns the other side's face
   * @param {Outbox} o.outbox handles retry and drop
   * @param {(entry) => Node[]} [o.tools] returns the buttons next to a stored message
   */
  constructor({ own, face, outbox, tools = () => [] }) {
    super();
    this.#own = new Set(own);
    this.#tools = tools;
    this.#face = face;
    this.#outbox = outbox;
    this.#scroller.addEventListener('scroll', () => this.#scrolled(), { passive: true });
    new ResizeObserver(() => { if (this.#follow) this.#toEnd(); }).observe(this.#scroller);
    new ResizeObserver(() => { if (this.#follow) this.#toEnd(); }).observe(this.#log);
    this.#pill.addEventListener('click', () => { this.#toEnd(); this.#scroller.focus({ preventScroll: true }); });
    document.addEventListener('visibilitychange', () => this.#seen());
    window.addEventListener('focus', () => this.#seen());
  }

  get lastID() { return this.#entries.findLast((e) => e.id)?.id ?? 0; }
  get firstID() { return this.#entries.find((e) => e.id)?.id ?? 0; }
  get size() { return this.#entries.length; }
  /** The id of the newest stored message of the other side. */
  get lastTheirs() { return this.#entries.findLast((e) => e.id && !e.own)?.id ?? 0; }
  /** The number of loaded messages of the other side after this id. */
  theirsAfter(id) { return this.#entries.filter((e) => e.id > id && !e.own && !e.note).length; }
  /** The entry of this side's newest stored message for which `which` returns true. */
  lastOwn(which = () => true) { return this.#entries.findLast((e) => e.id && e.own && which(e)); }
  /** Whether the end of the list is visible to the reader. */
  get watched() { return this.#follow && !document.hidden && !this.#scroller.closest('[hidden]'); }

  /** Empties the list for another conversation. */
  reset() {
    this.#entries.length = 0;
    this.#window.clear();
    this.#announcer.replaceChildren();
    this.#follow = true;
    this.#readTo = 0;
    this.#deliveredTo = 0;
    this.#olderPages = { more: null, busy: false };
    this.#inserted.clear();
    this.#setMissed(0);
  }

  /** Adds messages from the server. Known ones (by id or client_id) are updated instead. `lively`: they have just arrived. */
  add(messages, { lively = false } = {}) {
    let arrived = 0;
    const take = () => {
      for (const message of messages) {
        if (!this.#take(message, lively) || this.#own.has(message.sender_type)) continue;
        arrived++;
        if (lively) this.#announce(message);
      }
    };
    if (this.#follow) {
      take();
      this.#layoutSoon();
      this.#seen();
      return;
    }
    // Messages added above or below must not move what is being read.
    this.#window.still(take);
    if (lively && arrived) this.#setMissed(this.#missed + arrived);
    this.#layoutSoon();
  }

  /** Announces a new message to screen readers. */
  #announce({ content_text: text, content_type: type }) {
    const kind = { image: 'talk.picture', audio: 'talk.voice', file: 'talk.file' }[type];
    const words = [kind && t(kind), text && (text.length > ANNOUNCED ? `${text.slice(0, ANNOUNCED)}…` : text)].filter(Boolean).join(', ');
    this.#announcer.append(make('p', {}, t('talk.said', { text: words })));
    while (this.#announcer.childElementCount > 3) this.#announcer.firstElementChild.remove();
  }

  /**
   * Inserts an item of the page's own, e.g. a note, between the messages, or replaces the one with this key. It is inserted once the
   * messages around its place are loaded.
   * @param {string} key
   * @param {{after: number, order?: number, at: Date, draw: () => HTMLElement}} what follows the message with the id `after`, sorted by
   *   `order` (> 0) among items at the same place; draw makes its <li>
   */
  put(key, what) {
    this.withdraw(key);
    this.#inserted.set(key, what);
    this.#admit();
  }

  /** Removes the item with this key. */
  withdraw(key) {
    this.#inserted.delete(key);
    const at = this.#entries.findIndex((e) => e.key === key);
    if (at >= 0) this.#cut(at);
  }

  #admit() {
    const first = this.firstID;
    for (const [key, { after, order = 1, at, draw }] of this.#inserted) {
      if (this.#olderPages.more !== false && !(first && after >= first)) continue;
      this.#inserted.delete(key);
      this.#insert({ id: 0, clientID: '', key, after, n: order, at, draw, system: true, node: null }, false);
    }
    this.#layoutSoon();
  }

  /** Adds an outbox item, or updates its state. */
  pending(item, state, code = item.failed) {
    const known = this.#find(null, item.client_id);
    if (known?.id) return;
    if (known) {
      const again = known.state === 'failed' && item.file && !item.url;
      Object.assign(known, { state, code, url: item.url ?? '' });
      if (again) this.#refill(Object.assign(known, { share: 0 }));
      this.#progress(known);
      return;
    }
    const entry = {
      id: 0, clientID: item.client_id, n: item.n, own: true, text: item.text, type: item.type ?? 'text', url: item.url ?? '',
      file: fileOfItem(item), preview: item.file && addressNow(item.client_id), at: new Date(item.n / 1000), state, code, node: null,
    };
    this.#insert(entry, true);
    this.#follow = true;
    this.#layoutSoon();
    if (item.file && !entry.preview) this.#recall(entry);
  }

  /** Shows the preview of a file that was attached before a reload, once it is read from storage. */
  async #recall(entry) {
    entry.preview = await address(entry.clientID);
    if (!entry.preview) return;
    this.#refill(entry);
    this.#progress(entry);
  }

  /** Updates an upload's progress (0 to 1). */
  uploading(clientID, share) {
    const entry = this.#find(null, clientID);
    if (!entry || entry.id) return;
    entry.share = share;
    if (entry.node) advance(entry.node, share);
  }

  /** Removes an outbox item that was dropped. */
  remove(clientID) {
    const entry = this.#find(null, clientID);
    if (!entry || entry.id) return;
    this.#cut(this.#entries.indexOf(entry));
  }

  #cut(at) {
    const [entry] = this.#entries.splice(at, 1);
    this.#window.removed(at, entry);
    this.#regroup(at - 1, at);
  }

  /** Updates an edited message, if it is loaded. */
  edit(message) {
    const known = this.#find(Number(message.id), '');
    if (known) this.#edit(known, message);
  }

  #edit(known, message) {
    const text = message.content_text ?? '';
    const { reaction } = message;
    if (reaction !== known.reaction) {
      known.reaction = reaction;
      this.#progress(known);
    }
    if (!message.edited_at || text === known.text) return;
    Object.assign(known, { text, edited: true });
    this.#refill(known);
    this.#progress(known);
  }

  /** Sets the node below a stored message; null removes it. */
  putBelow(id, below) {
    const known = this.#find(id);
    if (known) this.#progress(Object.assign(known, { below }));
  }

  /** Removes stored messages that the server deleted. */
  drop(ids) {
    const gone = new Set(ids.map(Number));
    this.#dropWhere((id) => gone.has(id));
  }

  /** Removes the stored messages with ids in (after, upTo] that the server no longer has, which are all but `ids`. */
  dropBetween(after, upTo, ids) {
    const there = new Set(ids);
    this.#dropWhere((id) => id > after && id <= upTo && !there.has(id));
  }

  #dropWhere(gone) {
    for (let at = this.#entries.length - 1; at >= 0; at--) {
      const { id } = this.#entries[at];
      if (id && gone(id)) this.#cut(at);
    }
  }

  /** Returns the id after which there are n stored messages up to `upTo`, or fewer if there are not so many. */
  idBefore(upTo, n) {
    const ids = this.#entries.filter((e) => e.id && e.id <= upTo).map((e) => e.id);
    return (ids.at(-n) ?? ids[0] ?? upTo + 1) - 1;
  }

  /** The other side has read all messages up to this id, which implies that they were delivered. */
  read(lastID) {
    if (!(lastID > this.#readTo)) return;
    this.#readTo = lastID;
    this.#mark(lastID);
  }

  /** All messages up to this id were delivered to the other side's page. */
  delivered(lastID) {
    if (!(lastID > this.#deliveredTo)) return;
    this.#deliveredTo = lastID;
    this.#mark(lastID);
  }

  /** Updates the state of own messages up to this id, newest first, and stops at the first one that does not change. */
  #mark(lastID) {
    for (let i = this.#entries.length - 1; i >= 0; i--) {
      const entry = this.#entries[i];
      if (!entry.own || !entry.id || entry.id > lastID) continue;
      const state = this.#reached(entry.id);
      if (entry.state === state) break;
      entry.state = state;
      this.#progress(entry);
    }
  }

  #reached(id) { return id <= this.#readTo ? 'read' : id <= this.#deliveredTo ? 'delivered' : 'sent'; }

  /** Sets whether older messages exist; then `older` is dispatched when the reader comes near the top. */
  setOlder(more) {
    this.#olderPages = { more, busy: false };
    // Showing or hiding this line must not move what is being read.
    if (this.#follow) byId('older').hidden = !more;
    else this.#window.still(() => { byId('older').hidden = !more; });
    this.#admit();
  }

  /** Older messages could not be loaded; the next scroll event tries again. */
  olderFailed() { this.#olderPages.busy = false; }

  /** The list has become visible. */
  onVisible() { this.#scrolled(); }

  /** Scrolls to the newest message and follows new ones. */
  toEnd() { this.#toEnd(); }

  #actions(entry) {
    return {
      face: this.#face,
      onRetry: () => this.#outbox.retry(entry.clientID),
      onDrop: () => this.#outbox.drop(entry.clientID),
      tools: this.#tools,
    };
  }

  #find(id, clientID) {
    return this.#entries.findLast((e) => (id && e.id === id) || (clientID && e.clientID === clientID));
  }

  /** @returns {boolean} whether the message is new */
  #take(message, lively) {
    const id = Number(message.id);
    const clientID = message.client_id || '';
    const known = this.#find(id, clientID);
    const own = this.#own.has(message.sender_type);
    const state = own ? this.#reached(id) : '';
    if (known?.id) {
      this.#edit(known, message);
      return false;
    }
    const entry = {
      id, clientID, n: 0, own, system: message.sender_type === 'system', sender: message.sender_type,
      text: message.content_text ?? '', type: message.content_type || 'text', url: message.file_path || message.file_url || '',
      file: { name: message.file_name, bytes: message.file_size, thumb: message.thumb_url, width: message.width, height: message.height },
      at: parse(message.created_at) ?? new Date(), edited: Boolean(message.edited_at), reaction: message.reaction, state,
      author: message.author ?? '', node: known?.node ?? null,
    };
    if (!known) {
      this.#insert(entry, lively);
      return true;
    }
    // An own message was stored: it keeps its bubble, and gets its id and time.
    const from = this.#entries.indexOf(known);
    const stays = before(this.#entries[from - 1] ?? { id: -1 }, entry) < 0 && (from + 1 === this.#entries.length || before(entry, this.#entries[from + 1]) < 0);
    Object.assign(known, entry);
    if (known.type === 'file') this.#refill(known); // it can be downloaded from the server now
    this.#progress(known);
    if (!stays) {
      this.#cut(from);
      this.#insert(known, false);
    } else {
      this.#regroup(from - 1, from + 1);
    }
    return false;
  }

  #place(entry) {
    let i = this.#entries.length;
    while (i > 0 && before(entry, this.#entries[i - 1]) < 0) i--;
    return i;
  }

  #insert(entry, lively) {
    const i = this.#place(entry);
    this.#entries.splice(i, 0, entry);
    this.#window.inserted(i);
    if (lively) entry.node?.querySelector('.bubble')?.classList.add('lively');
    this.#regroup(i - 1, i + 1);
  }

  #render(i) {
    const entry = this.#entries[i];
    entry.node = entry.draw?.() ?? bubble(entry, this.#actions(entry));
    this.#updateGroup(i);
    return entry.node;
  }

  #refill(entry) { if (entry.node) refill(entry.node, entry, this.#actions(entry)); }
  #progress(entry) { if (entry.node) progress(entry.node, entry, this.#actions(entry)); }

  /** Updates groups and day separators of the entries from..to and the ones next to them. */
  #regroup(from, to) {
    for (let i = Math.max(from, 0); i <= Math.min(to + 1, this.#entries.length - 1); i++) if (this.#entries[i].node) this.#updateGroup(i);
  }

  #updateGroup(i) {
    const entry = this.#entries[i];
    const above = this.#entries[i - 1];
    const below = this.#entries[i + 1];
    const newDay = !above || dayKey(above.at) !== dayKey(entry.at);
    entry.node.classList.toggle('first', newDay || !together(above, entry));
    entry.node.classList.toggle('last', !below || dayKey(below.at) !== dayKey(entry.at) || !together(entry, below));
    const line = entry.node.querySelector('.day');
    if (newDay && !line) entry.node.prepend(dayLine(entry.at));
    if (!newDay) line?.remove();
  }

  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.#scroller;
    const left = scrollHeight - scrollTop - clientHeight;
    // The distance from the end also grows when a picture loads; that does not mean that the reader scrolled up.
    const up = scrollTop < this.#top - 1;
    this.#follow = (this.#window.atEnd && left < NEAR) || (this.#follow && !up);
    if (this.#follow) {
      this.#setMissed(0);
      this.#seen();
    }
    this.#layout();
    this.#pill.hidden = this.#follow || (this.#missed === 0 && this.#window.atEnd && left < clientHeight);
    if (this.#scroller.scrollTop < clientHeight && this.#window.atStart && this.#olderPages.more && !this.#olderPages.busy) {
      this.#olderPages.busy = true;
      this.dispatchEvent(new Event('older'));
    }
  }

  #layout() {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    this.#window.update(this.#follow);
    if (this.#follow) this.#scroller.scrollTop = this.#scroller.scrollHeight;
    this.#top = this.#scroller.scrollTop;
  }

  /** Once per frame: a burst of messages causes one layout instead of one each. */
  #layoutSoon() {
    if (document.hidden) this.#layout(); // hidden pages get no animation frames
    else if (!this.#frame) this.#frame = requestAnimationFrame(() => this.#scrolled());
  }

  #setMissed(n) {
    this.#missed = n;
    this.#pill.lastElementChild.textContent = n ? count('talk.new', n) : t('talk.to_end');
    this.#pill.classList.toggle('fresh', n > 0);
    if (n) this.#pill.hidden = false;
    else if (this.#follow) this.#pill.hidden = true;
  }

  #toEnd() {
    this.#follow = true;
    this.#layout();
    this.#setMissed(0);
    this.#seen(); // if it was at the end already, there is no scroll event
  }

  #seen() {
    if (this.watched && this.#entries.length) this.dispatchEvent(new Event('seen'));
  }
}

function together(a, b) {
  return a.own === b.own && !a.system && !b.system  && Math.abs(b.at - a.at) < GROUP;
}

function fileOfItem({ file }) {
  return file ? { name: file.name, bytes: file.size, width: file.width, height: file.height } : {};
}
