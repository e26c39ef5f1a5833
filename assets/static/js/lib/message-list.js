// The message list of one conversation: order, grouping, day separators.
import { advance } from './message-attachment.js';
import { address } from './blob-store.js';
import { bubble, dayLine, editedMark, progress, refill } from './message-bubble.js';
import { byId, make } from './dom.js';
import { FollowEnd } from './auto-scroll.js';
import { t } from './i18n.js';
import { compare, entryOf, entryOfItem, FILE_TEXTS, together } from './message-entry.js';
import { dayKey } from './format-time.js';
/** @import { Actions, Entry } from './message-entry.js' */
/** @import { Item, Outbox } from './outbox.js' */

const ANNOUNCED = 280;
const EARLY = 50; // edits kept of messages that are not loaded

/** @typedef {{after: number, order?: number, at: Date, draw: () => HTMLElement}} Inserted */

export class MessageList extends FollowEnd {
  #announcer = byId('said');
  #entries;
  #own;
  #face;
  #outbox;
  #readTo = 0;
  #deliveredTo = 0;
  #clearedTo = 0;
  /** Edited messages that are not loaded: what is being loaded may be older. @type {Map<number, Protocol.Message>} */
  #early = new Map();
  #tools;
  /** The agent who writes here. @type {Protocol.AgentReference | null | undefined} */
  me;
  /** @type {Actions['marks']} */
  marks = editedMark;
  /** Completes the element of entry i whenever its neighbours changed. @type {((entry: Entry, i: number, entries: Entry[]) => void) | undefined} */
  decorate;
  /** @type {Map<string, Inserted>} */
  #inserted = new Map();

  /**
   * @param {object} o
   * @param {Protocol.Sender[]} o.own sender types that count as this side
   * @param {Actions['face']} o.face
   * @param {Outbox} o.outbox handles retry and drop
   * @param {Actions['tools']} [o.tools]
   */
  constructor({ own, face, outbox, tools = () => [] }) {
    /** @type {Entry[]} */
    const entries = [];
    super(entries, (i) => this.#render(i));
    this.#entries = entries;
    this.#own = new Set(own);
    this.#tools = tools;
    this.#face = face;
    this.#outbox = outbox;
  }

  get lastID() { return this.#entries.findLast((e) => e.id)?.id ?? 0; }
  get firstID() { return this.#entries.find((e) => e.id)?.id ?? 0; }
  get size() { return this.#entries.length; }
  /** The id of the newest stored message of the other side. */
  get lastTheirs() { return this.#entries.findLast((e) => e.id && !e.own)?.id ?? 0; }
  /** The number of loaded messages of the other side after this id. @param {number} id */
  theirsAfter(id) { return this.#entries.filter((e) => e.id > id && !e.own).length; }
  /** The entry of this side's newest stored message for which `which` returns true. @param {(entry: Entry) => unknown} which */
  lastOwn(which = () => true) { return this.#entries.findLast((e) => e.id && e.own && which(e)); }

  /** Empties the list for another conversation. */
  reset() {
    this.#entries.length = 0;
    this.#announcer.replaceChildren();
    this.#readTo = 0;
    this.#deliveredTo = 0;
    this.#clearedTo = 0;
    this.#early.clear();
    this.#inserted.clear();
    this.restart();
  }

  /** Adds messages from the server. Known ones (by id or client_id) are updated instead. `lively`: they have just arrived. @param {Protocol.Message[]} messages */
  add(messages, { lively = false } = {}) {
    let arrived = 0;
    const take = () => {
      for (const message of messages) {
        if (!this.#take(message, lively) || this.#own.has(message.sender_type)) continue;
        arrived++;
        if (lively) this.#announce(message);
      }
    };
    if (this.following) {
      take();
      this.layoutSoon();
      this.seen();
      return;
    }
    // Messages added above or below must not move what is being read.
    this.window.still(take);
    if (lively && arrived) this.missed(arrived);
    this.layoutSoon();
  }

  /** Announces a new message to screen readers. @param {Protocol.Message} message */
  #announce({ content_text: text, content_type: type }) {
    const kind = FILE_TEXTS[type];
    const words = [kind && t(kind), text && (text.length > ANNOUNCED ? `${text.slice(0, ANNOUNCED)}…` : text)].filter(Boolean).join(', ');
    this.#announcer.append(make('p', {}, t('talk.said', { text: words })));
    while (this.#announcer.childElementCount > 3) this.#announcer.firstElementChild?.remove();
  }

  /**
   * Inserts an item of the page's own, e.g. a note, between the messages, or replaces the one with this key. It is inserted once the
   * messages around its place are loaded.
   * @param {string} key
   * @param {Inserted} what follows the message with the id `after`, sorted by
   *   `order` (> 0) among items at the same place; draw makes its <li>
   */
  put(key, what) {
    this.withdraw(key);
    this.#inserted.set(key, what);
    this.#admit();
  }

  /** Removes the item with this key. @param {string} key */
  withdraw(key) {
    this.#inserted.delete(key);
    const at = this.#entries.findIndex((e) => e.key === key);
    if (at >= 0) this.#cut(at);
  }

  #admit() {
    const first = this.firstID;
    for (const [key, { after, order = 1, at, draw }] of this.#inserted) {
      if (this.more !== false && !(first && after >= first)) continue;
      this.#inserted.delete(key);
      this.#insert(/** @type {Entry} */ ({ id: 0, clientID: '', key, after, n: order, at, draw, system: true, node: null }), false);
    }
    this.layoutSoon();
  }

  /** Adds an outbox item, or updates its state. @param {Item} item @param {Entry['state']} state */
  pending(item, state, code = item.failed) {
    const known = this.#find(0, item.client_id);
    if (known?.id) return;
    if (known) {
      const again = known.state === 'failed' && item.file && !item.url;
      Object.assign(known, { state, code, url: item.url ?? '' });
      if (again) this.#refill(Object.assign(known, { share: 0 }));
      this.#progress(known);
      return;
    }
    const entry = entryOfItem(item, state, code, this.me);
    this.#insert(entry, true);
    this.following = true;
    this.layoutSoon();
    if (item.file && !entry.preview) this.#recall(entry);
  }

  /** Shows the preview of a file that was attached before a reload, once it is read from storage. @param {Entry} entry */
  async #recall(entry) {
    entry.preview = await address(entry.clientID);
    if (!entry.preview) return;
    this.#refill(entry);
    this.#progress(entry);
  }

  /** Updates an upload's progress (0 to 1). @param {string} clientID @param {number} share */
  uploading(clientID, share) {
    const entry = this.#find(0, clientID);
    if (!entry || entry.id) return;
    entry.share = share;
    if (entry.node) advance(entry.node, share);
  }

  /** Removes an outbox item that was dropped. @param {string} clientID */
  remove(clientID) {
    const entry = this.#find(0, clientID);
    if (entry && !entry.id) this.#cut(this.#entries.indexOf(entry));
  }

  /** @param {number} at */
  #cut(at) {
    const [entry] = this.#entries.splice(at, 1);
    this.window.removed(at, entry);
    this.regroup(at - 1, at);
  }

  /** Updates an edited message, if it is loaded. @param {Protocol.Message} message */
  edit(message) {
    const known = this.#find(message.id, '');
    if (known) this.#edit(known, message);
    else if (this.#early.size < EARLY) this.#early.set(message.id, message);
  }

  /** @param {Entry} known @param {Protocol.Message} message */
  #edit(known, message) {
    const { content_text: text, reaction, rev = 0 } = message;
    if (rev < (known.rev ?? 0)) return; // it was read, or an event of it sent, before a later change
    known.rev = rev;
    if (reaction !== known.reaction) {
      known.reaction = reaction;
      this.#progress(known);
    }
    if (!message.edited_at || text === known.text) return;
    Object.assign(known, { text, edited: message.edited_by ?? message.edited_at });
    this.#refill(known);
    this.#progress(known);
  }

  /** Sets the node below a stored message; null removes it. @param {number} id @param {Node | null} below */
  putBelow(id, below) {
    const known = this.#find(id, '');
    if (known) this.#progress(Object.assign(known, { below }));
  }

  /** Removes stored messages that the server deleted. @param {number[]} ids */
  drop(ids) {
    const gone = new Set(ids);
    this.#dropWhere((id) => gone.has(id));
  }

  /**
   * Removes the stored messages with ids in (after, upTo] that the server no longer has, which are all but `ids`.
   * @param {number} after @param {number} upTo @param {number[]} ids
   */
  dropBetween(after, upTo, ids) {
    const there = new Set(ids);
    this.#dropWhere((id) => id > after && id <= upTo && !there.has(id));
  }

  /** All messages up to an id were deleted; an event of one of them may still arrive. @param {number} id */
  clearUpTo(id) {
    this.#clearedTo = Math.max(this.#clearedTo, id);
    this.dropBetween(0, id, []);
  }

  /** @param {(id: number) => boolean} gone */
  #dropWhere(gone) {
    for (let at = this.#entries.length - 1; at >= 0; at--) {
      const { id } = this.#entries[at];
      if (id && gone(id)) this.#cut(at);
    }
  }

  /** Returns the id after which there are n stored messages up to `upTo`, or fewer if there are not so many. @param {number} upTo @param {number} n */
  idBefore(upTo, n) {
    const ids = this.#entries.filter((e) => e.id && e.id <= upTo).map((e) => e.id);
    return (ids.at(-n) ?? ids[0] ?? upTo + 1) - 1;
  }

  /** The other side has read all messages up to this id, which implies that they were delivered. @param {number} lastID */
  read(lastID) {
    if (!(lastID > this.#readTo)) return;
    this.#readTo = lastID;
    this.#mark(lastID);
  }

  /** All messages up to this id were delivered to the other side's page. @param {number} lastID */
  delivered(lastID) {
    if (!(lastID > this.#deliveredTo)) return;
    this.#deliveredTo = lastID;
    this.#mark(lastID);
  }

  /** Updates the state of own messages up to this id, newest first, and stops at the first one that does not change. @param {number} lastID */
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

  /** @param {number} id */
  #reached(id) { return id <= this.#readTo ? 'read' : id <= this.#deliveredTo ? 'delivered' : 'sent'; }

  /** Sets whether older messages exist; then `older` is dispatched when the reader comes near the top. @param {boolean} more */
  setOlder(more) {
    this.more = more;
    this.loading = false;
    // Showing or hiding this line must not move what is being read.
    this.window.still(() => {
      byId('older').hidden = !more;
      this.regroup();
    });
    this.#admit();
  }

  /** Older messages could not be loaded; the next scroll event tries again. */
  olderFailed() { this.loading = false; }

  /** @param {Entry} entry @returns {Actions} */
  #actions(entry) {
    return {
      face: this.#face,
      onRetry: () => this.#outbox.retry(entry.clientID),
      onDrop: () => this.#outbox.drop(entry.clientID),
      marks: this.marks,
      tools: this.#tools,
    };
  }

  /** @param {number} id @param {string} clientID */
  #find(id, clientID) {
    return this.#entries.findLast((e) => (id && e.id === id) || (clientID && e.clientID === clientID));
  }

  /** @param {Protocol.Message} message @param {boolean} lively @returns {boolean} whether the message is new */
  #take(message, lively) {
    if (message.id <= this.#clearedTo) return false;
    const edited = this.#early.get(message.id);
    if (edited && (edited.rev ?? 0) > (message.rev ?? 0)) message = edited;
    const own = this.#own.has(message.sender_type);
    const entry = entryOf(message, own, own ? this.#reached(message.id) : '');
    const known = this.#find(entry.id, entry.clientID);
    if (known?.id) {
      this.#edit(known, message);
      return false;
    }
    if (!known) {
      this.#insert(entry, lively);
      return true;
    }
    // An own message was stored: it keeps its bubble, and gets its id and time.
    const from = this.#entries.indexOf(known);
    const stays = (from === 0 || compare(this.#entries[from - 1], entry) < 0) && (from + 1 === this.#entries.length || compare(entry, this.#entries[from + 1]) < 0);
    Object.assign(known, entry, { node: known.node });
    if (known.type === 'file') this.#refill(known); // it can be downloaded from the server now
    this.#progress(known);
    if (!stays) {
      this.#cut(from);
      this.#insert(known, false);
    } else {
      this.regroup(from - 1, from + 1);
    }
    return false;
  }

  /** @param {Entry} entry */
  #place(entry) {
    let i = this.#entries.length;
    while (i > 0 && compare(entry, this.#entries[i - 1]) < 0) i--;
    return i;
  }

  /** @param {Entry} entry @param {boolean} lively */
  #insert(entry, lively) {
    const i = this.#place(entry);
    this.#entries.splice(i, 0, entry);
    this.window.inserted(i);
    if (lively) entry.node?.querySelector('.bubble')?.classList.add('lively');
    this.regroup(i - 1, i + 1);
  }

  /** @param {number} i */
  #render(i) {
    const entry = this.#entries[i];
    entry.node = entry.draw?.() ?? bubble(entry, this.#actions(entry));
    this.#updateGroup(i);
    return entry.node;
  }

  /** @param {Entry} entry */
  #refill(entry) { if (entry.node) refill(entry.node, entry, this.#actions(entry)); }
  /** @param {Entry} entry */
  #progress(entry) { if (entry.node) progress(entry.node, entry, this.#actions(entry)); }

  /** Updates groups and day separators of the entries from..to and the ones next to them. */
  regroup(from = 0, to = this.#entries.length) {
    for (let i = Math.max(from, 0); i <= Math.min(to + 1, this.#entries.length - 1); i++) this.#updateGroup(i);
  }

  /** @param {number} i */
  #updateGroup(i) {
    const entry = this.#entries[i];
    const { node } = entry;
    if (!node) return;
    const above = this.#entries[i - 1];
    const below = this.#entries[i + 1];
    const newDay = !above || dayKey(above.at) !== dayKey(entry.at);
    node.classList.toggle('first', newDay || !together(above, entry));
    node.classList.toggle('last', !below || dayKey(below.at) !== dayKey(entry.at) || !together(entry, below));
    const line = node.querySelector('.day');
    if (newDay && !line) node.prepend(dayLine(entry.at));
    if (!newDay) line?.remove();
    this.decorate?.(entry, i, this.#entries);
  }
}
