// Loads a conversation's history: the newest page at first, missed messages after a connection break, older pages when the reader
// scrolls up.
//
// Live messages may arrive while missed ones are still being loaded, so the newest message on the page does not show what is
// missing. `#upTo` does: no message up to that id is missing. It follows live messages only while `#whole`.

/** @import { Connection } from './connection.js' */
/** @import { MessageList } from './message-list.js' */

const PAGE = 50;
const MOST = 100;
// After a break this many known messages are loaded again, because they may have been edited or deleted.
const AGAIN = 20;

export class MessageHistory {
  #connection;
  #messageList;
  #take;
  /** @type {string | null} */
  #thread = null;
  #upTo = 0;
  #whole = false;

  /**
   * @param {Connection} connection
   * @param {MessageList} messageList the list that shows the messages
   * @param {(messages: Protocol.Message[]) => void} take gets every page
   */
  constructor(connection, messageList, take) {
    this.#connection = connection;
    this.#messageList = messageList;
    this.#take = take;
    const broken = () => {
      if (!this.#whole) return;
      this.#upTo = messageList.lastID;
      this.#whole = false;
    };
    connection.addEventListener('state', () => { if (!connection.online) broken(); });
    connection.addEventListener('stale', broken);
    messageList.addEventListener('older', () => this.#older());
  }

  /** Switches to another conversation, whose list is empty; null = none. @param {string | null} thread */
  turnTo(thread) {
    if (thread === this.#thread) return;
    this.#thread = thread;
    this.#upTo = 0;
    this.#whole = false;
  }

  /** Loads what is missing. Throws Refused if the server does not answer; the next call continues from there. */
  async catchUp() {
    const thread = this.#thread;
    if (this.#whole || !thread) return;
    if (!this.#upTo) {
      const page = await this.#ask(thread, { limit: PAGE });
      if (!page) return;
      this.#messageList.setOlder(page.has_more);
    } else {
      const from = this.#messageList.idBefore(this.#upTo, AGAIN);
      if (this.#messageList.firstID <= from) { // some are not loaded again; deletion begins with the oldest
        const { messages: [oldest] } = await this.#connection.request('history', { thread_id: thread, after_id: 0, limit: 1 });
        if (thread !== this.#thread) return;
        this.#messageList.dropBetween(0, oldest ? oldest.id - 1 : this.#upTo, []);
      }
      for (let after = from, more = true; more;) {
        const page = await this.#ask(thread, { after_id: after, limit: MOST });
        if (!page) return;
        const ids = page.messages.map(({ id }) => id);
        const last = ids.at(-1) ?? after;
        this.#messageList.dropBetween(after, page.has_more ? last : this.#upTo, ids);
        more = page.has_more && last > after;
        after = last;
        this.#upTo = Math.max(this.#upTo, last);
      }
    }
    // If the connection was lost meanwhile, the next call has to ask again.
    this.#whole = this.#connection.connected;
  }

  async #older() {
    try {
      const page = await this.#ask(/** @type {string} */ (this.#thread), { before_id: this.#messageList.firstID, limit: PAGE });
      if (page) this.#messageList.setOlder(page.has_more);
    } catch {
      this.#messageList.olderFailed();
    }
  }

  /**
   * Loads and shows a page of messages; null if the reader has switched to another conversation meanwhile.
   * @param {string} thread @param {Omit<Protocol.ClientEvents['history'], 'thread_id'>} what
   */
  async #ask(thread, what) {
    const page = await this.#connection.request('history', { thread_id: thread, ...what });
    if (thread !== this.#thread) return null;
    this.#take(page.messages);
    return page;
  }
}
