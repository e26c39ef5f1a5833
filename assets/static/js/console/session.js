// Tracks whether the agent is still signed in.
import { get } from '../lib/api.js';
import { byId } from '../lib/dom.js';
import { t } from '../lib/i18n.js';

// A new password ends the session, and the answer with the cookie of the next one may still be on its way to this browser (ms).
const RENEWED = 1_000;

/** Events: `ended`, and `back` when the agent has signed in again, here or in another tab. */
export class Session extends EventTarget {
  #ended = false;
  /** The signed-in agent, once known. @type {Protocol.Agent | null} */
  me = null;

  get ended() { return this.#ended; }

  /** @param {boolean} ended */
  set(ended) {
    if (ended === this.#ended) return;
    this.#ended = ended;
    byId('expired').hidden = !ended;
    this.dispatchEvent(new Event(ended ? 'ended' : 'back'));
  }

  /** Checks with the server. @param {'disabled'} [reason] why the session may have ended */
  async check(reason) {
    if (reason) this.#because(true);
    else await new Promise((resolve) => { setTimeout(resolve, RENEWED); });
    try {
      await this.load();
      this.#because(false);
      this.set(false);
    } catch (error) {
      if (/** @type {Failure} */ (error).status === 401) this.set(true);
    }
  }

  /** @param {boolean} disabled */
  #because(disabled) {
    byId('expired-why').textContent = t(disabled ? 'console.disabled' : 'console.expired');
  }

  /** Loads the agent's account, and shows only owners what only they may do. */
  async load() {
    this.me = await get('api/me');
    for (const node of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll('[data-owner]'))) node.hidden = this.me.role !== 'owner';
  }

  /** Evaluates a failed request; returns whether it failed because the session has ended. @param {unknown} error */
  failed(error) {
    const { status, code } = /** @type {Failure} */ (error);
    const lost = status === 401 || code === 'unauthorized';
    if (lost) this.set(true);
    return lost;
  }
}
