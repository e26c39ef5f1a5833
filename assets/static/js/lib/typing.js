// Typing notifications. Outgoing ones are sent at most every two seconds and end with the text or after a pause; incoming ones
// expire if they are not repeated.

const SEND_EVERY = 2_000;
const PAUSE = 4_000;
const FADE = 6_000;

/** Sends our typing state by send(typing: boolean). */
export class TypingOut {
  #send;
  #last = 0;
  #timer = 0;

  /** @param {(typing: boolean) => void} send */
  constructor(send) { this.#send = send; }

  touch() {
    const now = Date.now();
    if (now - this.#last >= SEND_EVERY) {
      this.#last = now;
      this.#send(true);
    }
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.stop(), PAUSE);
  }

  stop() {
    clearTimeout(this.#timer);
    if (this.#last) this.#send(false);
    this.#last = 0;
  }
}

/** Tracks who is typing, by key, and calls change(key, name|null). */
export class TypingIn {
  #change;
  /** @type {Map<string, number>} */
  #timers = new Map();

  /** @param {(key: string, name: string | null) => void} change */
  constructor(change) { this.#change = change; }

  /** @param {string} key @param {boolean} typing */
  update(key, typing, name = '') {
    clearTimeout(this.#timers.get(key));
    if (!typing) {
      if (this.#timers.delete(key)) this.#change(key, null);
      return;
    }
    this.#timers.set(key, setTimeout(() => this.update(key, false), FADE));
    this.#change(key, name);
  }

  /** @param {string} key */
  has(key) { return this.#timers.has(key); }
}
