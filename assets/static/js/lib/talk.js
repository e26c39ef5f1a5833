// The list of messages of one conversation: order, groups, days, scrolling.
import { advance } from './attachment.js';
import { address, addressNow } from './blobs.js';
import { bubble, dayLine, progress, refill } from './bubble.js';
import { byId, make } from './dom.js';
import { count, t } from './i18n.js';
import { Shown } from './shown.js';
import { dayKey, parse } from './time.js';

const GROUP = 2 * 60_000;
const NEAR = 96;
const SAID = 280;

/*
 * An entry: {id, clientID, n, own, system, sender, text, type, url, file, preview, share, at, state, code, node}.
 * file is {name, bytes, thumb, width, height} as far as known; preview is where this page has the file itself.
 * Stored ones have an id and stand in its order; ones on their way stand after them, ordered by n (see outbox.js).
 * What a page puts between messages itself (see put) has a key, stands after the message `after`, and makes its own element.
 * node is the element while the entry is near the reader, else null (see shown.js).
 */
const place = (e) => e.id || (e.key ? e.after : Infinity);
const before = (a, b) => {
  const [x, y] = [place(a), place(b)];
  if (x !== y) return x - y;
  return a.n - b.n;
};

export class Talk extends EventTarget {
  #list = byId('messages');
  #log = byId('log');
  #scroller = byId('scroller');
  #pill = byId('pill');
  #said = byId('said');
  #entries = [];
  #shown = new Shown({ list: this.#list, scroller: this.#scroller, entries: this.#entries, render: (i) => this.#render(i) });
  #own;
  #face;
  #outbox;
  #follow = true;
  #top = 0;
  #missed = 0;
  #readTo = 0;
  #deliveredTo = 0;
  #tools;
  #drawing = 0;
  #older = { more: null, busy: false };
  #aside = new Map();

  /**
   * Events: `older` (the reader is near the top and there is more), `seen` (the newest message is in view).
   * @param {object} o
   * @param {string[]} o.own sender types that are this side
   * @param {(entry) => Node} o.face the other side's face
   * @param {Outbox} o.outbox where retry and drop go
   * @param {(entry) => Node[]} [o.tools] buttons beside a stored message
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
  /** The newest stored message of the other side. */
  get lastTheirs() { return this.#entries.findLast((e) => e.id && !e.own)?.id ?? 0; }
  /** How many messages of the other side came after this id, as far as they are here. */
  theirsAfter(id) { return this.#entries.filter((e) => e.id > id && !e.own && !e.note).length; }
  /** The newest stored text of this side that `which` takes, as an entry. */
  lastOwn(which = () => true) { return this.#entries.findLast((e) => e.id && e.own && which(e)); }
  /** The reader is at the end of the list, and looking. */
  get watched() { return this.#follow && !document.hidden && !this.#scroller.closest('[hidden]'); }

  /** Empties the list, for another conversation. */
  reset() {
    this.#entries.length = 0;
    this.#shown.clear();
    this.#said.replaceChildren();
    this.#follow = true;
    this.#readTo = 0;
    this.#deliveredTo = 0;
    this.#older = { more: null, busy: false };
    this.#aside.clear();
    this.#setMissed(0);
  }

  /** Takes messages as the server has them. Known ones (by id or client_id) are updated, not doubled. */
  add(messages, { lively = false } = {}) {
    let arrived = 0;
    const take = () => {
      for (const message of messages) {
        if (!this.#take(message, lively) || this.#own.has(message.sender_type)) continue;
        arrived++;
        if (lively) this.#say(message);
      }
    };
    if (this.#follow) {
      take();
      this.#settleSoon();
      this.#seen();
      return;
    }
    // Whatever comes in above or below, what is being read stays where it is.
    this.#shown.still(take);
    if (lively && arrived) this.#setMissed(this.#missed + arrived);
    this.#settleSoon();
  }

  /** Tells those who cannot see it what has just come. */
  #say({ content_text: text, content_type: type }) {
    const kind = { image: 'talk.picture', audio: 'talk.voice', file: 'talk.file' }[type];
    const words = [kind && t(kind), text && (text.length > SAID ? `${text.slice(0, SAID)}…` : text)].filter(Boolean).join(', ');
    this.#said.append(make('p', {}, t('talk.said', { text: words })));
    while (this.#said.childElementCount > 3) this.#said.firstElementChild.remove();
  }

  /**
   * Puts something of the page's own between the messages, e.g. a note; the same key again replaces it. It waits aside until
   * the messages around it are here.
   * @param {string} key
   * @param {{after: number, order?: number, at: Date, draw: () => HTMLElement}} what stands after the message with the id `after`,
   *   by `order` (> 0) among others there; draw makes its <li>
   */
  put(key, what) {
    this.withdraw(key);
    this.#aside.set(key, what);
    this.#admit();
  }

  /** Takes away what was put under this key. */
  withdraw(key) {
    this.#aside.delete(key);
    const at = this.#entries.findIndex((e) => e.key === key);
    if (at >= 0) this.#cut(at);
  }

  #admit() {
    const first = this.firstID;
    for (const [key, { after, order = 1, at, draw }] of this.#aside) {
      if (this.#older.more !== false && !(first && after >= first)) continue;
      this.#aside.delete(key);
      this.#insert({ id: 0, clientID: '', key, after, n: order, at, draw, system: true, node: null }, false);
    }
    this.#settleSoon();
  }

  /** Shows an outbox item, or its new state. */
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
    this.#settleSoon();
    if (item.file && !entry.preview) this.#recall(entry);
  }

  /** A file from before a reload: it is looked up, and shown as soon as it is there. */
  async #recall(entry) {
    entry.preview = await address(entry.clientID);
    if (!entry.preview) return;
    this.#refill(entry);
    this.#progress(entry);
  }

  /** A file has come this far (0 to 1). */
  uploading(clientID, share) {
    const entry = this.#find(null, clientID);
    if (!entry || entry.id) return;
    entry.share = share;
    if (entry.node) advance(entry.node, share);
  }

  /** Takes away an outbox item that was dropped. */
  remove(clientID) {
    const entry = this.#find(null, clientID);
    if (!entry || entry.id) return;
    this.#cut(this.#entries.indexOf(entry));
  }

  #cut(at) {
    const [entry] = this.#entries.splice(at, 1);
    this.#shown.removed(at, entry);
    this.#regroup(at - 1, at);
  }

  /** Shows the new text of a message, if it is here. */
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

  /** Puts a node below a stored message, or takes it away (null). */
  putBelow(id, below) {
    const known = this.#find(id);
    if (known) this.#progress(Object.assign(known, { below }));
  }

  /** Takes away stored messages that the server deleted. */
  drop(ids) {
    const gone = new Set(ids.map(Number));
    this.#dropWhere((id) => gone.has(id));
  }

  /** Takes away the stored messages after one id and up to another that the server has no more, which are all but `ids`. */
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

  /** After this id stand n stored messages up to one, or as many as there are. */
  idBefore(upTo, n) {
    const ids = this.#entries.filter((e) => e.id && e.id <= upTo).map((e) => e.id);
    return (ids.at(-n) ?? ids[0] ?? upTo + 1) - 1;
  }

  /** The other side has read everything up to this id, so it also got it. */
  read(lastID) {
    if (!(lastID > this.#readTo)) return;
    this.#readTo = lastID;
    this.#mark(lastID);
  }

  /** The other side's page has got everything up to this id. */
  delivered(lastID) {
    if (!(lastID > this.#deliveredTo)) return;
    this.#deliveredTo = lastID;
    this.#mark(lastID);
  }

  /** Shows how far own messages up to this id have come, newest first, as far as that changed. */
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

  /** Says whether older messages exist; `older` is asked for when the reader comes near the top. */
  setOlder(more) {
    this.#older = { more, busy: false };
    // What stands above the messages changes with this line; what is being read must not move.
    if (this.#follow) byId('older').hidden = !more;
    else this.#shown.still(() => { byId('older').hidden = !more; });
    this.#admit();
  }

  /** Older messages could not be had; they are asked for again at the next scroll. */
  olderFailed() { this.#older.busy = false; }

  /** The list has come into view. */
  look() { this.#scrolled(); }

  /** Goes to the newest message and stays with it. */
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

  /** @returns {boolean} whether the message was not there before */
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
    // Ours came back from the server: same bubble, now with its place and time.
    const from = this.#entries.indexOf(known);
    const stays = before(this.#entries[from - 1] ?? { id: -1 }, entry) < 0 && (from + 1 === this.#entries.length || before(entry, this.#entries[from + 1]) < 0);
    Object.assign(known, entry);
    if (known.type === 'file') this.#refill(known); // it can be had from the server now
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
    this.#shown.inserted(i);
    if (lively) entry.node?.querySelector('.bubble')?.classList.add('lively');
    this.#regroup(i - 1, i + 1);
  }

  #render(i) {
    const entry = this.#entries[i];
    entry.node = entry.draw?.() ?? bubble(entry, this.#actions(entry));
    this.#dress(i);
    return entry.node;
  }

  #refill(entry) { if (entry.node) refill(entry.node, entry, this.#actions(entry)); }
  #progress(entry) { if (entry.node) progress(entry.node, entry, this.#actions(entry)); }

  /** Settles groups and day lines of the entries from..to and what touches them. */
  #regroup(from, to) {
    for (let i = Math.max(from, 0); i <= Math.min(to + 1, this.#entries.length - 1); i++) if (this.#entries[i].node) this.#dress(i);
  }

  #dress(i) {
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
    // A picture that grows below is no sign that the reader went up.
    const up = scrollTop < this.#top - 1;
    this.#follow = (this.#shown.atEnd && left < NEAR) || (this.#follow && !up);
    if (this.#follow) {
      this.#setMissed(0);
      this.#seen();
    }
    this.#settle();
    this.#pill.hidden = this.#follow || (this.#missed === 0 && this.#shown.atEnd && left < clientHeight);
    if (this.#scroller.scrollTop < clientHeight && this.#shown.atStart && this.#older.more && !this.#older.busy) {
      this.#older.busy = true;
      this.dispatchEvent(new Event('older'));
    }
  }

  #settle() {
    cancelAnimationFrame(this.#drawing);
    this.#drawing = 0;
    this.#shown.settle(this.#follow);
    if (this.#follow) this.#scroller.scrollTop = this.#scroller.scrollHeight;
    this.#top = this.#scroller.scrollTop;
  }

  /** Once for all that comes before the next frame: a burst of messages costs one layout, not one each. */
  #settleSoon() {
    if (document.hidden) this.#settle(); // no frame comes
    else if (!this.#drawing) this.#drawing = requestAnimationFrame(() => this.#scrolled());
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
    this.#settle();
    this.#setMissed(0);
    this.#seen(); // where it was at the end already, no scrolling tells so
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
