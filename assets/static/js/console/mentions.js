// The conversations in which a note mentions the agent who has not seen it: their mark in the list, and the button above it that opens them.
import { byId } from '../lib/dom.js';
import { count } from '../lib/i18n.js';
/** @import { Connection } from '../lib/connection.js' */
/** @import { OpenThread } from './open-thread.js' */
/** @import { Notes } from './team-notes.js' */
/** @import { ThreadStore } from './thread-store.js' */

/** Events: `change`. */
export class Mentions extends EventTarget {
  #openThread;
  #threads;
  /** @type {Set<string>} */
  #unseen = new Set();

  /**
   * @param {object} o
   * @param {OpenThread} o.openThread
   * @param {ThreadStore} o.threads
   * @param {Connection} o.connection
   * @param {Notes} o.notes
   * @param {() => number | undefined} o.me the id of the signed-in agent, once known
   * @param {(id: string) => void} o.open opens a conversation
   * @param {(told: Protocol.ServerEvents['agent_notified'], seen: boolean) => void} o.alert alerts the agent
   */
  constructor({ openThread, threads, connection, notes, me, open, alert }) {
    super();
    this.#openThread = openThread;
    this.#threads = threads;
    connection.on('agent_notified', (told) => {
      if (told.agent_id !== me()) return;
      const { thread } = told;
      threads.know(thread);
      const seen = thread.id === openThread.current && !document.hidden;
      if (told.text && !seen) this.#add(thread.id);
      alert(told, seen);
      if (told.text && seen) notes.load().catch(() => { /* they stay unseen */ });
    });
    connection.on('notes_seen', ({ thread_id: id, agent_id: agent }) => {
      if (agent === me()) this.#forget(id);
    });
    connection.on('thread_cleared', ({ thread_id: id }) => this.#forget(id || [...this.#unseen]));
    notes.addEventListener('seen', ({ detail: id }) => this.#forget(id)); // also if the note was deleted
    byId('mentions').addEventListener('click', () => {
      const [first] = this.#unseen;
      if (first) open(first);
    });
    document.addEventListener('visibilitychange', () => {
      const { current } = this.#openThread;
      if (!document.hidden && current && this.#unseen.has(current)) notes.load().catch(() => { /* they stay unseen */ });
    });
  }

  /** @param {string} id */
  has(id) { return this.#unseen.has(id); }

  /** What the server holds after a connect. @param {Protocol.Thread[]} list */
  set(list) {
    this.#unseen = new Set(list.map(({ id }) => id));
    for (const thread of list) this.#threads.know(thread);
    this.#changed();
  }

  /** @param {string | string[]} ids */
  #forget(ids) {
    const before = this.#unseen.size;
    for (const id of [ids].flat()) this.#unseen.delete(id);
    if (this.#unseen.size !== before) this.#changed();
  }

  /** @param {string} id */
  #add(id) {
    this.#unseen.add(id);
    this.#changed();
  }

  #changed() {
    const n = this.#unseen.size;
    byId('mentions').hidden = n === 0;
    byId('mentions-text').textContent = n ? count('console.mentions', n) : '';
    this.dispatchEvent(new Event('change'));
  }
}
