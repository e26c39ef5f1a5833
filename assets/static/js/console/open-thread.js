// The open conversation: its messages, its composer, and read and delivered marks.
import { connectionBar } from '../lib/connection-bar.js';
import { Composer } from '../lib/composer.js';
import { byId, icon, make } from '../lib/dom.js';
import { face } from '../lib/face.js';
import { t } from '../lib/i18n.js';
import { MessageHistory } from '../lib/message-history.js';
import { editedMark } from '../lib/message-bubble.js';
import { MessageList } from '../lib/message-list.js';
import { TypingOut } from '../lib/typing.js';
import { sendAll } from '../lib/upload.js';
import { show } from './panes.js';
/** @import { BrowserStorage } from '../lib/browser-storage.js' */
/** @import { Connection } from '../lib/connection.js' */
/** @import { Entry } from '../lib/message-entry.js' */
/** @import { Outbox } from '../lib/outbox.js' */
/** @import { Attachment } from '../lib/pending-attachments.js' */
/** @import { Drafts } from '../console.js' */
/** @import { Session } from './session.js' */
/** @import { ThreadStore } from './thread-store.js' */

/** @typedef {{turn: Event, fetched: Event, edit: CustomEvent<Entry>}} Events */
/** @typedef {(text: string, files: Attachment[]) => unknown} Write */
/** @typedef {'draft' | 'note' | ''} DraftKind */

/**
 * Events: `turn` (another conversation is open, or none), `fetched` (messages of the history were loaded), `edit` (detail: the
 * entry that the agent wants to edit). The open conversation's id, `current`, must not enter the URL.
 */
export class OpenThread extends /** @type {new () => TypedEventTarget<Events>} */ (EventTarget) {
  #taken;
  #threads;
  #connection;
  #outbox;
  #drafts;
  #session;
  /** @type {Map<string, number>} */
  #readSent = new Map();
  /** @type {Map<string, number>} */
  #receivedSent = new Map();
  /** @type {Write} */
  #write = (text, files) => this.#reply(text, files);
  /** @type {DraftKind} */
  #draft = 'draft';
  /** @type {string | null} */
  current = null;

  /**
   * @param {object} o
   * @param {ThreadStore} o.threads
   * @param {Connection} o.connection
   * @param {Outbox} o.outbox
   * @param {BrowserStorage<Drafts>} o.drafts this window's drafts, and the id of the open conversation
   * @param {Session} o.session
   * @param {(message: Protocol.Message) => void} o.taken called with every stored message that is shown
   */
  constructor({ threads, connection, outbox, drafts, session, taken }) {
    super();
    this.#threads = threads;
    this.#connection = connection;
    this.#outbox = outbox;
    this.#drafts = drafts;
    this.#session = session;
    this.messageList = new MessageList({ own: ['admin', 'telegram'], face: () => face(this.name()), outbox, tools: (entry) => this.#tools(entry) });
    this.messageList.marks = (entry) => this.#marks(entry);
    this.#taken = taken;
    this.messageHistory = new MessageHistory(connection, this.messageList, (messages) => this.#take(messages));
    this.typing = new TypingOut((on) => {
      // Of a note only the other agents are told.
      if (this.current) connection.emit('typing', { thread_id: this.current, typing: on, ...(this.#draft === 'note' && { note: true }) });
    });
    this.composer = new Composer({
      send: (text, files) => this.#write(text, files),
      typing: () => { if (this.#draft) this.typing.touch(); },
      stopped: () => this.typing.stop(),
      save: (text) => this.#keepDraft(text),
    });
    connectionBar(connection, outbox);
    this.messageList.addEventListener('seen', () => this.sendRead());
    threads.addEventListener('change', () => this.#showMarks());
    outbox.addEventListener('change', ({ detail: { item, state, code } }) => {
      if (item.thread_id !== this.current) return;
      if (state === 'gone') this.messageList.remove(item.client_id);
      else this.messageList.pending(item, state, code);
    });
    outbox.addEventListener('progress', ({ detail: { item, share } }) => this.messageList.uploading(item.client_id, share));
  }

  /** Who wrote and who edited a message; one's own name is not shown. @param {Entry} entry */
  #marks(entry) {
    const { by, edited: editor } = entry;
    const marks = document.createDocumentFragment();
    if (by && by.id !== this.messageList.me?.id) marks.append(make('span', { className: 'writer', dir: 'auto' }, by.name));
    const other = typeof editor === 'object' && editor.id !== by?.id;
    marks.append(editedMark(entry, other ? t('console.edited_by', { name: editor.name }) : undefined));
    return marks;
  }

  get thread() { return this.current ? this.#threads.get(this.current) : undefined; }
  name(id = this.current) { return (id && this.#threads.get(id)?.name) || t('console.nameless'); }

  /** Opens a conversation; a listener of `turn` has to call enter. With `focus`, its composer (on a phone its name) is focused. @param {string} id */
  open(id, { focus = false } = {}) {
    if (id !== this.current) {
      this.#leave();
      this.current = id;
      this.#drafts.set('open', id);
      this.messageList.reset();
      this.messageHistory.turnTo(id);
      for (const item of this.#outbox.items) if (item.thread_id === id) this.messageList.pending(item, item.failed ? 'failed' : 'waiting');
      this.#turned();
    }
    byId('nobody').hidden = true;
    byId('talk-head').hidden = false;
    byId('conversation').hidden = false;
    show('talk');
    if (focus) { if (matchMedia('(hover: hover)').matches) this.composer.focus(); else byId('head-name').focus(); }
  }

  close() {
    this.#leave();
    this.current = null;
    this.#drafts.remove('open');
    this.messageList.reset();
    this.messageHistory.turnTo(null);
    byId('nobody').hidden = false;
    byId('talk-head').hidden = true;
    byId('conversation').hidden = true;
    show('list');
    this.#turned();
  }

  /** Subscribes to the open conversation and loads its missing messages. */
  async enter() {
    const id = this.current;
    if (!id) return;
    try {
      await this.#connection.request('join_thread', { thread_id: id });
      if (id === this.current) await this.messageHistory.catchUp();
    } catch (error) {
      const { code } = /** @type {Failure} */ (error);
      if (code === 'unauthorized') this.#session.check();
      if (code === 'not_found') this.forget(id);
    }
  }

  /** The messages of a conversation up to an id were deleted. @param {string} id @param {number} upTo */
  emptied(id, upTo) {
    if (id !== this.current) return;
    if (upTo && this.messageList.lastID > upTo) {
      this.messageList.clearUpTo(upTo);
      return;
    }
    this.messageList.reset();
    this.messageHistory.turnTo(null);
    this.messageList.clearUpTo(upTo);
    this.messageHistory.turnTo(id);
    for (const item of this.#outbox.items) if (item.thread_id === id) this.messageList.pending(item, item.failed ? 'failed' : 'waiting');
    this.#turned();
  }

  /** The conversation was deleted, at a revision if it is known. @param {string} id */
  forget(id, rev = 0) {
    for (const kind of ['draft', 'note']) this.#drafts.remove(`${kind}.${id}`);
    for (const item of this.#outbox.items) if (item.thread_id === id) this.#outbox.drop(item.client_id);
    this.#threads.remove(id, rev);
    if (id === this.current) this.close();
  }

  /**
   * Saves a text that could not be sent as a draft of a conversation that is no longer open.
   * @param {string} id @param {'draft' | 'note'} draft @param {string} text
   */
  keepFor(id, draft, text) { this.#drafts.set(`${draft}.${id}`, text); }

  /**
   * Sets where the composer's text is sent, and the name under which its draft is saved ('' = not saved); by default, to the
   * visitor.
   * @param {DraftKind} draft
   * @param {Write} write
   */
  writeTo(draft = 'draft', write = (text, files) => this.#reply(text, files)) {
    this.composer.keep();
    this.typing.stop();
    this.#draft = draft;
    this.#write = write;
    this.composer.setFilesEnabled(draft === 'draft');
    this.composer.fill(this.current && draft ? this.#drafts.get(`${draft}.${this.current}`) : '');
  }

  /** @param {string} text @param {Attachment[]} files */
  async #reply(text, files) {
    if (!this.current) return;
    await sendAll(this.#outbox, this.current, text, files);
    this.messageList.toEnd();
    this.#outbox.flush();
  }

  /** @param {string} text */
  #keepDraft(text) {
    if (!this.current || !this.#draft) return;
    const key = /** @type {const} */ (`${this.#draft}.${this.current}`);
    if (text) this.#drafts.set(key, text); else this.#drafts.remove(key);
  }

  #leave() {
    this.composer.keep();
    this.typing.stop();
    this.#draft = ''; // from here on the text must not be saved as a draft of the next conversation
    if (this.current) this.#connection.emit('leave_thread', { thread_id: this.current });
  }

  #turned() { this.dispatchEvent(new Event('turn')); }

  /** @param {Protocol.Message[]} messages */
  #take(messages) {
    this.messageList.add(messages);
    for (const message of messages) {
      if (message.client_id) this.#outbox.acknowledge(message.client_id, message);
      this.#taken(message);
    }
    this.#showMarks();
    this.#sendMark('delivered', this.#receivedSent, this.messageList.lastTheirs);
    this.dispatchEvent(new Event('fetched'));
  }

  /** @param {Entry} entry */
  #tools(entry) {
    // Captions can be edited as well; an attachment without one has nothing to edit.
    if (!entry.own || !entry.text) return [];
    return [make('button', {
      type: 'button', className: 'touch', title: t('console.edit'), attrs: { 'aria-label': t('console.edit') },
      onclick: () => this.dispatchEvent(new CustomEvent('edit', { detail: entry })),
    }, icon('pencil'))];
  }

  // --- read and delivered ----------------------------------------------------

  #showMarks() {
    if (!this.current || !this.thread) return;
    this.messageList.delivered(this.thread.receivedByVisitor);
    this.messageList.read(this.thread.readByVisitor);
    // A list requested before the messages were read may still count them as unread.
    if (this.messageList.watched && this.messageList.size && this.thread.unread) this.#threads.patch(this.current, { unread: 0 });
  }

  /** Sends a read mark to the visitor; if that fails, it is sent again after the next connect. */
  sendRead() {
    if (!this.current || !this.#connection.online || !this.messageList.watched) return;
    if (this.thread?.unread) this.#threads.patch(this.current, { unread: 0 });
    this.#sendMark('read', this.#readSent, this.messageList.lastTheirs);
  }

  /** A visitor's message was delivered to this console, whichever conversation is open. @param {Protocol.Message} message */
  received(message) { this.#sendMark('delivered', this.#receivedSent, message.id, message.thread_id); }

  /** @param {'read' | 'delivered'} what @param {Map<string, number>} sent @param {number} last */
  #sendMark(what, sent, last, id = this.current) {
    if (!id || !this.#connection.online || last <= (sent.get(id) ?? 0)) return;
    sent.set(id, last);
    this.#connection.request(what, { thread_id: id, last_id: last }).then(() => {
      if (what === 'read') this.#threads.recount(); // counts taken before the server knew are too high
    }, () => sent.delete(id));
  }
}
