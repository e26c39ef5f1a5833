// The list of messages of one conversation: order, groups, days, scrolling.
import { advance } from './attachment.js';
import { address, addressNow } from './blobs.js';
import { bubble, dayLine, progress, refill } from './bubble.js';
import { byId } from './dom.js';
import { count, t } from './i18n.js';
import { dayKey, parse } from './time.js';

const GROUP = 2 * 60_000;
const NEAR = 96;

/*
 * An entry: {id, clientID, n, own, system, sender, text, type, url, file, preview, share, at, state, code, node, note}.
 * file is {name, bytes, thumb, width, height} as far as known; preview is where this page has the file itself.
 * Stored ones have an id and stand in its order; ones on their way stand after
 * them, ordered by n (see outbox.js). note is {id, after, author} for a note of the team: it stands
 * behind the message that was the last one when it was written.
 */
const rank = (e) => (e.note ? e.note.after : e.id || Infinity);
const before = (a, b) => {
  const [first, second] = [rank(a), rank(b)];
  if (first !== second) return first - second;
  return (a.note?.id ?? 0) - (b.note?.id ?? 0) || a.n - b.n;
};

/** How far an own message got; it never goes back. */
const STEPS = ['sent', 'delivered', 'read'];

export class Talk extends EventTarget {
  #list = byId('messages');
  #log = byId('log');
  #scroller = byId('scroller');
  #pill = byId('pill');
  #entries = [];
  #own;
  #face;
  #outbox;
  #follow = true;
  #top = 0;
  #missed = 0;
  #readTo = 0;
  #deliveredTo = 0;
  #tools;
  #older = { more: false, busy: false };

  /**
   * Events: `older` (the reader is near the top and there is more), `seen` (the newest message is in view).
   * @param {object} o
   * @param {string[]} o.own sender types that are this side
   * @param {(entry) => Node} o.face the other side's face
   * @param {Outbox} o.outbox where retry and drop go
   * @param {(entry) => Node[]} [o.tools] buttons beside a stored message or a note
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
  /** Whether everything from the first message on is here. */
  get whole() { return !this.#older.more; }
  /** The newest stored text of this side that `which` takes, as an entry. */
  lastOwn(which = () => true) { return this.#entries.findLast((e) => e.id && e.own && which(e)); }
  /** The reader is at the end of the list, and looking. */
  get watched() { return this.#follow && !document.hidden && !this.#scroller.closest('[hidden]'); }

  /** Empties the list, for another conversation. */
  reset() {
    this.#entries = [];
    this.#list.replaceChildren();
    this.#follow = true;
    this.#readTo = 0;
    this.#deliveredTo = 0;
    this.#older = { more: false, busy: false };
    this.#setMissed(0);
  }

  /** Takes messages as the server has them. Known ones (by id or client_id) are updated, not doubled. */
  add(messages, { lively = false } = {}) {
    this.#log.setAttribute('aria-busy', String(!lively));
    const height = this.#scroller.scrollHeight;
    const top = this.firstID;
    let arrived = 0;
    for (const message of messages) {
      if (this.#take(message, lively) && !this.#own.has(message.sender_type)) arrived++;
    }
    if (this.#follow) {
      this.#toEnd();
      this.#seen();
    } else if (top && this.firstID < top) {
      // Older messages came in above: what is being read stays where it is.
      this.#scroller.scrollTop += this.#scroller.scrollHeight - height;
    } else if (lively && arrived) {
      this.#setMissed(this.#missed + arrived);
    }
    requestAnimationFrame(() => this.#log.setAttribute('aria-busy', 'false'));
  }

  /** Shows an outbox item, or its new state. */
  pending(item, state, code = item.failed) {
    const known = this.#find(null, item.client_id);
    if (known?.id) return;
    if (known) {
      const again = known.state === 'failed' && item.file && !item.url;
      Object.assign(known, { state, code, url: item.url ?? '' });
      if (again) refill(known.node, Object.assign(known, { share: 0 }), this.#actions(known));
      progress(known.node, known, this.#actions(known));
      return;
    }
    const entry = {
      id: 0, clientID: item.client_id, n: item.n, own: true, text: item.text, type: item.type ?? 'text', url: item.url ?? '',
      file: fileOfItem(item), preview: item.file && addressNow(item.client_id), at: new Date(item.n / 1000), state, code,
    };
    this.#insert(entry, true);
    this.#toEnd();
    if (item.file && !entry.preview) this.#recall(entry);
  }

  /** A file from before a reload: it is looked up, and shown as soon as it is there. */
  async #recall(entry) {
    entry.preview = await address(entry.clientID);
    if (entry.preview && entry.node?.isConnected) {
      refill(entry.node, entry, this.#actions(entry));
      progress(entry.node, entry, this.#actions(entry));
    }
  }

  /** A file has come this far (0 to 1). */
  uploading(clientID, share) {
    const entry = this.#find(null, clientID);
    if (!entry || entry.id) return;
    entry.share = share;
    advance(entry.node, share);
  }

  /** Takes away an outbox item that was dropped. */
  remove(clientID) {
    const entry = this.#find(null, clientID);
    if (!entry || entry.id) return;
    const at = this.#entries.indexOf(entry);
    this.#entries.splice(at, 1);
    entry.node.remove();
    this.#regroup(at - 1, at);
  }

  /** Shows the new text of a message, if it is here. */
  edit(message) {
    const known = this.#find(Number(message.id), '');
    if (known) this.#edit(known, message);
  }

  #edit(known, message) {
    const text = message.content_text ?? '';
    if (!message.edited_at || text === known.text) return;
    Object.assign(known, { text, edited: true });
    refill(known.node, known, this.#actions(known));
    progress(known.node, known, this.#actions(known));
  }

  /** Takes away stored messages that the server deleted. */
  drop(ids) {
    const gone = new Set(ids.map(Number));
    for (let at = this.#entries.length - 1; at >= 0; at--) {
      const entry = this.#entries[at];
      if (!gone.has(entry.id)) continue;
      this.#entries.splice(at, 1);
      entry.node.remove();
      this.#regroup(at - 1, at);
    }
  }

  /** The other side has read everything up to this id, so it also got it. */
  read(lastID) {
    if (!(lastID > this.#readTo)) return;
    this.#readTo = lastID;
    this.#deliveredTo = Math.max(this.#deliveredTo, lastID);
    this.#mark(lastID, 'read');
  }

  /** The other side's page has got everything up to this id. */
  delivered(lastID) {
    if (!(lastID > this.#deliveredTo)) return;
    this.#deliveredTo = lastID;
    this.#mark(lastID, 'delivered');
  }

  #mark(lastID, state) {
    const step = STEPS.indexOf(state);
    for (let i = this.#entries.length - 1; i >= 0; i--) {
      const entry = this.#entries[i];
      if (!entry.own || !entry.id || entry.id > lastID) continue;
      if (STEPS.indexOf(entry.state) >= step) break;
      entry.state = state;
      progress(entry.node, entry, this.#actions(entry));
    }
  }

  /** Shows a note of the team: {id, after_id, text, author, created_at}. One that is here already stays. */
  note({ id, after_id: after, text, author, created_at: at }, { lively = false } = {}) {
    if (this.#note(id)) return;
    this.#insert({
      id: 0, clientID: '', n: 0, own: false, system: false, note: { id: Number(id), after: Number(after) || 0, author }, text, type: 'text', url: '', file: {},
      at: parse(at) ?? new Date(), state: '',
    }, lively);
    if (this.#follow) this.#toEnd();
  }

  dropNote(id) {
    const entry = this.#note(id);
    if (!entry) return;
    const at = this.#entries.indexOf(entry);
    this.#entries.splice(at, 1);
    entry.node.remove();
    this.#regroup(at - 1, at);
  }

  #note(id) { return this.#entries.find((e) => e.note?.id === Number(id)); }

  /** Says whether older messages exist; `older` is asked for when the reader comes near the top. */
  setOlder(more) {
    this.#older = { more, busy: false };
    const height = this.#scroller.scrollHeight;
    byId('older').hidden = !more;
    // What stands above the messages changes with this line; what is being read must not move.
    if (!this.#follow) this.#scroller.scrollTop += this.#scroller.scrollHeight - height;
    this.#scrolled();
  }

  /** Older messages could not be had; they are asked for again at the next scroll. */
  olderFailed() { this.#older.busy = false; }

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
    const state = own ? (id <= this.#readTo ? 'read' : id <= this.#deliveredTo ? 'delivered' : 'sent') : '';
    if (known?.id) {
      this.#edit(known, message);
      return false;
    }
    const entry = {
      id, clientID, n: 0, own, system: message.sender_type === 'system', sender: message.sender_type,
      text: message.content_text ?? '', type: message.content_type || 'text', url: message.file_path || message.file_url || '',
      file: { name: message.file_name, bytes: message.file_size, thumb: message.thumb_url, width: message.width, height: message.height },
      at: parse(message.created_at) ?? new Date(), edited: Boolean(message.edited_at), state,
    };
    if (!known) {
      this.#insert(entry, lively);
      return true;
    }
    // Ours came back from the server: same bubble, now with its place and time.
    const from = this.#entries.indexOf(known);
    this.#entries.splice(from, 1);
    Object.assign(known, entry);
    if (known.type === 'file') refill(known.node, known, this.#actions(known)); // it can be had from the server now
    progress(known.node, known, this.#actions(known));
    const to = this.#place(known);
    this.#entries.splice(to, 0, known);
    const next = this.#entries[to + 1]?.node ?? null;
    if (known.node.nextSibling !== next) this.#list.insertBefore(known.node, next);
    this.#regroup(Math.min(from, to) - 1, Math.max(from, to) + 1);
    return false;
  }

  #place(entry) {
    let i = this.#entries.length;
    while (i > 0 && before(entry, this.#entries[i - 1]) < 0) i--;
    return i;
  }

  #insert(entry, lively) {
    const i = this.#place(entry);
    entry.node = bubble(entry, this.#actions(entry));
    if (lively) entry.node.querySelector('.bubble').classList.add('lively');
    this.#list.insertBefore(entry.node, this.#entries[i]?.node ?? null);
    this.#entries.splice(i, 0, entry);
    this.#regroup(i - 1, i + 1);
  }

  /** Settles groups and day lines of the entries from..to and what touches them. */
  #regroup(from, to) {
    for (let i = Math.max(from, 0); i <= Math.min(to + 1, this.#entries.length - 1); i++) {
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
  }

  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.#scroller;
    // A picture that grows below is no sign that the reader went up.
    const up = scrollTop < this.#top - 1;
    this.#top = scrollTop;
    this.#follow = scrollHeight - scrollTop - clientHeight < NEAR || (this.#follow && !up);
    if (this.#follow) {
      this.#setMissed(0);
      this.#seen();
    }
    this.#pill.hidden = this.#follow || (this.#missed === 0 && scrollHeight - scrollTop - clientHeight < clientHeight);
    if (scrollTop < 240 && this.#older.more && !this.#older.busy) {
      this.#older.busy = true;
      this.dispatchEvent(new Event('older'));
    }
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
    this.#scroller.scrollTop = this.#scroller.scrollHeight;
  }

  #seen() {
    if (this.watched && this.#entries.length) this.dispatchEvent(new Event('seen'));
  }
}

function together(a, b) {
  return a.own === b.own && !a.system && !b.system && !a.note && !b.note && Math.abs(b.at - a.at) < GROUP;
}

function fileOfItem({ file }) {
  return file ? { name: file.name, bytes: file.size, width: file.width, height: file.height } : {};
}
