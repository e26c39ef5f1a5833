// Keeps a conversation scrolled to its newest message while the reader is there, and otherwise shows a button back to the end that counts new
// messages.
import { byId } from './dom.js';
import { count, t } from './i18n.js';
/** @import { Entry } from './message-entry.js' */
/** @import { VirtualWindow } from './virtual-window.js' */

const NEAR = 96; // px from the end within which the reader counts as being there

export class FollowEnd {
  #scroller = byId('scroller');
  #pill = byId('pill');
  #pillText = /** @type {Element} */ (this.#pill.lastElementChild);
  #window;
  #on;
  #following = true;
  #top = 0;
  #missed = 0;
  #frame = 0;

  /**
   * @param {VirtualWindow<Entry>} window
   * @param {object} on
   * @param {() => void} on.seen the newest message may have become visible
   * @param {() => void} on.top the reader is near the oldest message
   */
  constructor(window, on) {
    this.#window = window;
    this.#on = on;
    this.#scroller.addEventListener('scroll', () => this.scrolled(), { passive: true });
    for (const node of [this.#scroller, byId('log')]) new ResizeObserver(() => { if (this.#following) this.toEnd(); }).observe(node);
    this.#pill.addEventListener('click', () => { this.toEnd(); this.#scroller.focus({ preventScroll: true }); });
    document.addEventListener('visibilitychange', on.seen);
    globalThis.addEventListener('focus', on.seen);
  }

  get following() { return this.#following; }
  /** Whether the end of the list is visible to the reader. */
  get watched() { return this.#following && !document.hidden && !this.#scroller.closest('[hidden]'); }

  /** Follows from the next layout on. */
  follow() { this.#following = true; }

  /** Follows the next conversation. */
  reset() {
    this.#following = true;
    this.#setMissed(0);
  }

  /** Counts new messages that the reader has not seen. @param {number} n */
  missed(n) { this.#setMissed(this.#missed + n); }

  /** Applies the scroll position, after a scroll event or when the list has become visible. */
  scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.#scroller;
    const left = scrollHeight - scrollTop - clientHeight;
    // The distance from the end also grows when a picture loads; that does not mean that the reader scrolled up.
    const up = scrollTop < this.#top - 1;
    this.#following = (this.#window.atEnd && left < NEAR) || (this.#following && !up);
    if (this.#following) {
      this.#setMissed(0);
      this.#on.seen();
    }
    this.#layout();
    this.#pill.hidden = this.#following || (this.#missed === 0 && this.#window.atEnd && left < clientHeight);
    if (this.#scroller.scrollTop < clientHeight && this.#window.atStart) this.#on.top();
  }

  /** Scrolls to the newest message and follows new ones. */
  toEnd() {
    this.#following = true;
    this.#layout();
    this.#setMissed(0);
    this.#on.seen(); // if it was at the end already, there is no scroll event
  }

  /** Once per frame: a burst of messages causes one layout instead of one each. */
  layoutSoon() {
    if (document.hidden) this.#layout(); // hidden pages get no animation frames
    else if (!this.#frame) this.#frame = requestAnimationFrame(() => this.scrolled());
  }

  #layout() {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    this.#window.update(this.#following);
    if (this.#following) this.#scroller.scrollTop = this.#scroller.scrollHeight;
    this.#top = this.#scroller.scrollTop;
  }

  /** @param {number} n */
  #setMissed(n) {
    this.#missed = n;
    this.#pillText.textContent = n ? count('talk.new', n) : t('talk.to_end');
    this.#pill.classList.toggle('fresh', n > 0);
    if (n) this.#pill.hidden = false;
    else if (this.#following) this.#pill.hidden = true;
  }
}
