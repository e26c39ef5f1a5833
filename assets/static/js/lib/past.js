// Fetching what happened: the newest page at first, what was missed after a
// break, older pages when the reader scrolls up.
//
// Live messages may arrive while a break is being made good, so the newest
// message on the page says nothing about what is missing. `#upTo` does: up to
// that id nothing is missing; it only follows live messages while `#whole`.

const PAGE = 50;
const MOST = 100;
// So many of the newest messages are asked for again after a break: they may have been changed or deleted in it.
const AGAIN = 20;

export class Past {
  #live;
  #talk;
  #take;
  #thread = null;
  #upTo = 0;
  #whole = false;

  /**
   * @param {Live} live
   * @param {Talk} talk the list that the messages go into
   * @param {(messages: object[]) => void} take gets every page
   */
  constructor(live, talk, take) {
    this.#live = live;
    this.#talk = talk;
    this.#take = take;
    const broken = () => {
      if (!this.#whole) return;
      this.#upTo = talk.lastID;
      this.#whole = false;
    };
    live.addEventListener('state', () => { if (!live.online) broken(); });
    live.addEventListener('stale', broken);
    talk.addEventListener('older', () => this.#older());
  }

  /** Turns to another conversation, whose list is empty now; null is none. */
  turnTo(thread) {
    if (thread === this.#thread) return;
    this.#thread = thread;
    this.#upTo = 0;
    this.#whole = false;
  }

  /** Gets what is missing. Throws Refused when the server does not answer; the next call goes on from there. */
  async catchUp() {
    const thread = this.#thread;
    if (this.#whole) return;
    if (!this.#upTo) {
      const page = await this.#ask(thread, { limit: PAGE });
      if (!page) return;
      this.#talk.setOlder(Boolean(page.has_more));
    } else {
      for (let after = this.#talk.idBefore(this.#upTo, AGAIN), more = true; more;) {
        const page = await this.#ask(thread, { after_id: after, limit: MOST });
        if (!page) return;
        const ids = (page.messages ?? []).map(({ id }) => id);
        const last = ids.at(-1) ?? after;
        this.#talk.dropBetween(after, page.has_more ? last : this.#upTo, ids);
        more = Boolean(page.has_more) && last > after;
        after = last;
        this.#upTo = Math.max(this.#upTo, last);
      }
    }
    // A connection lost meanwhile has not counted as whole, so the next call asks again.
    this.#whole = this.#live.connected;
  }

  async #older() {
    try {
      const page = await this.#ask(this.#thread, { before_id: this.#talk.firstID, limit: PAGE });
      if (page) this.#talk.setOlder(Boolean(page.has_more));
    } catch {
      this.#talk.olderFailed();
    }
  }

  /** A page of this conversation, shown; null when the reader has turned to another one meanwhile. */
  async #ask(thread, what) {
    const page = await this.#live.ask('history', { thread_id: thread, ...what });
    if (thread !== this.#thread) return null;
    this.#take(page.messages ?? []);
    return page;
  }
}
