// Tracks whether the agent is still signed in.
import { get } from '../lib/api.js';
import { byId } from '../lib/dom.js';

/** Events: `ended`, and `back` when the agent has signed in again, here or in another tab. */
export class Session extends EventTarget {
  #ended = false;

  get ended() { return this.#ended; }

  /** @param {boolean} ended */
  set(ended) {
    if (ended === this.#ended) return;
    this.#ended = ended;
    byId('expired').hidden = !ended;
    this.dispatchEvent(new Event(ended ? 'ended' : 'back'));
  }

  /** Checks with the server. */
  async check() {
    try {
      await get('api/threads?limit=1');
      this.set(false);
    } catch (error) {
      if (/** @type {Failure} */ (error).status === 401) this.set(true);
    }
  }

  /** Evaluates a failed request; returns whether it failed because the session has ended. @param {unknown} error */
  failed(error) {
    const { status, code } = /** @type {Failure} */ (error);
    const lost = status === 401 || code === 'unauthorized';
    if (lost) this.set(true);
    return lost;
  }
}
