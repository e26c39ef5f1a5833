// Tracks whether the agent is still signed in.
import { get } from '../lib/api.js';
import { byId } from '../lib/dom.js';

/** Events: `ended`, and `back` when the agent has signed in again, here or in another tab. */
export class Session extends EventTarget {
  #ended = false;

  get ended() { return this.#ended; }

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
      if (error.status === 401) this.set(true);
    }
  }

  /** Evaluates a failed request; returns whether it failed because the session has ended. */
  failed(error) {
    const lost = error.status === 401 || error.code === 'unauthorized';
    if (lost) this.set(true);
    return lost;
  }
}
