// Fetching what happened: the newest page at first, what was missed after a
// break, older pages when the reader scrolls up.
//
// Live messages may arrive while a break is being made good, so the newest
// message on the page says nothing about what is missing. `#upTo` does: up to
// that id nothing is missing; it only follows live messages while `#whole`.

const PAGE = 50;
const MOST = 100;

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
    live.addEventListener('state', () => {
      if (live.online || !this.#whole) return;
      this.#upTo = talk.lastID;
      this.#whole = false;
    });
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
      for (let more = true; more;) {
        const page = await this.#ask(thread, { after_id: this.#upTo, limit: MOST });
        if (!page) return;
        const last = page.messages?.at(-1)?.id ?? this.#upTo;
        more = Boolean(page.has_more) && last > this.#upTo;
        this.#upTo = last;
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
