// The team's internal notes, shown among the messages at the point where they were written. They are never sent to a visitor.
import { icon, make } from '../lib/dom.js';
import { t } from '../lib/i18n.js';
import { linked } from '../lib/message-text.js';
import { clock, parse, whole } from '../lib/format-time.js';
/** @import { Connection } from '../lib/connection.js' */
/** @import { OpenThread } from './open-thread.js' */

/** Events: `seen` (detail: the conversation whose notes the agent sees). */
export class Notes extends /** @type {new () => TypedEventTarget<{seen: CustomEvent<string>}>} */ (EventTarget) {
  #openThread;
  #connection;
  /** @type {Map<number, Protocol.Note>} */
  #here = new Map(); // notes of the open conversation, by id
  /** @type {Set<number>} */
  #gone = new Set(); // deleted notes, of which an older event may still arrive

  /** @param {OpenThread} openThread @param {Connection} connection @param {(error: unknown) => void} failed called when a note could not be deleted */
  constructor(openThread, connection, failed) {
    super();
    this.#openThread = openThread;
    this.#connection = connection;
    this.failed = failed;
    openThread.addEventListener('turn', () => this.#here.clear());
    connection.on('note_added', ({ note }) => this.add(note));
    connection.on('note_deleted', ({ thread_id: thread, id }) => { if (thread === openThread.current) this.#drop(id); });
  }

  /** Loads the notes of the open conversation: after it was opened, and after every connect. */
  async load() {
    const thread = this.#openThread.current;
    if (!thread) return;
    const seen = !document.hidden;
    const { notes } = await this.#connection.request('notes', { thread_id: thread, seen });
    if (seen) this.dispatchEvent(new CustomEvent('seen', { detail: thread }));
    if (thread !== this.#openThread.current) return;
    const ids = new Set(notes.map((note) => note.id));
    for (const id of [...this.#here.keys()]) if (!ids.has(id)) this.#drop(id);
    for (const note of notes) this.add(note);
  }

  /** @param {Protocol.Note} note */
  add(note) {
    if (note.thread_id !== this.#openThread.current || this.#here.has(note.id) || this.#gone.has(note.id)) return;
    this.#here.set(note.id, note);
    const at = parse(note.created_at) ?? new Date();
    this.#openThread.messageList.put(`note-${note.id}`, { after: note.after_id, order: note.id, at, draw: () => this.#draw(note, at) });
  }

  /** @param {number} id */
  #drop(id) {
    this.#gone.add(id);
    this.#here.delete(id);
    this.#openThread.messageList.withdraw(`note-${id}`);
  }

  /** @param {Protocol.Note} note @param {Date} at */
  #draw(note, at) {
    return make('li', { className: 'message note', data: { note: note.id } }, make('div', { className: 'line' },
      make('div', { className: 'bubble' }, make('span', { className: 'caption', dir: 'auto' }, ...linked(note.text))),
      make('span', { className: 'meta' }, make('span', { className: 'by' }, icon('note'), note.author ? t('console.note_by', { name: note.author }) : t('console.note')),
        make('time', { dateTime: at.toISOString(), title: whole(at) }, clock(at))),
      make('span', { className: 'tools' }, make('button', {
        type: 'button', className: 'touch', title: t('console.note_delete'), attrs: { 'aria-label': t('console.note_delete') }, onclick: () => this.#delete(note),
      }, icon('trash')))));
  }

  /** @param {Protocol.Note} note */
  async #delete(note) {
    try {
      await this.#connection.request('note_delete', { thread_id: note.thread_id, id: note.id });
      this.#drop(note.id);
      this.#openThread.composer.focus();
    } catch (error) {
      this.failed(error);
    }
  }
}
