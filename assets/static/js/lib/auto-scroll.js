// Keeps a conversation scrolled to its newest message while the reader is there, and otherwise shows a button back to the end that counts new
// messages.
import { byId } from './dom.js';
import { count, t } from './i18n.js';
import { VirtualWindow } from './virtual-scrolling.js';
/** @import { Entry } from './message-entry.js' */

const NEAR = 96; // px from the end within which the reader counts as being there

/** @typedef {{older: Event, seen: Event}} Events */

/** Events: `older` (the reader is near the top, and there are older messages), `seen` (the newest message is visible). */
export class FollowEnd extends /** @type {new () => TypedEventTarget<Events>} */ (EventTarget) {
  #scroller = byId('scroller');
  #pill = byId('pill');
  #pillText = /** @type {Element} */ (this.#pill.lastElementChild);
  #entries;
  /** Whether new messages are scrolled to. */
  following = true;
  /** Whether there are older messages; null = not known. @type {boolean | null} */
  more = null;
  /** Older messages are being loaded. */
  loading = false;
  #top = 0;
  #missed = 0;
  #frame = 0;

  /** @param {Entry[]} entries @param {(i: number) => HTMLElement} render makes the element of an entry */
  constructor(entries, render) {
    super();
    this.#entries = entries;
    this.window = new VirtualWindow({ list: byId('messages'), scroller: this.#scroller, entries, render });
    this.#scroller.addEventListener('scroll', () => this.scrolled(), { passive: true });
    // The reader may have scrolled up since the last scroll event.
    for (const node of [this.#scroller, byId('log')]) new ResizeObserver(() => { if (this.following) this.scrolled(); }).observe(node);
    this.#pill.addEventListener('click', () => { this.toEnd(); this.#scroller.focus({ preventScroll: true }); });
    document.addEventListener('visibilitychange', () => this.seen());
    window.addEventListener('focus', () => this.seen());
  }

  /** Whether the end of the list is visible to the reader. */
  get watched() { return this.following && !document.hidden && !this.#scroller.closest('[hidden]'); }

  /** Follows the next conversation. */
  restart() {
    this.following = true;
    this.more = null;
    this.loading = false;
    this.window.clear();
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
    this.following = (this.window.atEnd && left < NEAR) || (this.following && !up);
    if (this.following) {
      this.#setMissed(0);
      this.seen();
    }
    this.#layout();
    this.#pill.hidden = this.following || (this.#missed === 0 && this.window.atEnd && left < clientHeight);
    if (this.#scroller.scrollTop < clientHeight && this.window.atStart && this.more && !this.loading) {
      this.loading = true;
      this.dispatchEvent(new Event('older'));
    }
  }

  /** Scrolls to the newest message and follows new ones. */
  toEnd() {
    this.following = true;
    this.#layout();
    this.#setMissed(0);
    this.seen(); // if it was at the end already, there is no scroll event
  }

  /** Once per frame: a burst of messages causes one layout instead of one each. */
  layoutSoon() {
    if (document.hidden) this.#layout(); // hidden pages get no animation frames
    else if (!this.#frame) this.#frame = requestAnimationFrame(() => this.scrolled());
  }

  seen() {
    if (this.watched && this.#entries.length) this.dispatchEvent(new Event('seen'));
  }

  #layout() {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    this.window.update(this.following);
    if (this.following) this.#scroller.scrollTop = this.#scroller.scrollHeight;
    this.#top = this.#scroller.scrollTop;
  }

  /** @param {number} n */
  #setMissed(n) {
    this.#missed = n;
    this.#pillText.textContent = n ? count('talk.new', n) : t('talk.to_end');
    this.#pill.classList.toggle('fresh', n > 0);
    if (n) this.#pill.hidden = false;
    else if (this.following) this.#pill.hidden = true;
  }
}
