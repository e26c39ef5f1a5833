// Virtual scrolling of a long conversation: only a contiguous range of entries around the reader has elements. The list may have
// thousands of entries, but at most MOST elements, so that scrolling and typing stay fast.

const MOST = 160;
const KEEP = 120;
const STEP = 40;

/** @typedef {{node: HTMLElement | null}} Shown an entry, with its element while it has one */

/** @template {Shown} Entry */
export class VirtualWindow {
  #list;
  #scroller;
  #entries;
  #render;
  #from = 0;
  #to = 0;

  /**
   * @param {object} o
   * @param {HTMLElement} o.list contains the elements of the range and nothing else
   * @param {HTMLElement} o.scroller the list's scroll container, with overflow-anchor: none
   * @param {Entry[]} o.entries all entries in order; the owner changes it and calls inserted or removed
   * @param {(i: number) => HTMLElement} o.render makes the element of an entry
   */
  constructor({ list, scroller, entries, render }) {
    this.#list = list;
    this.#scroller = scroller;
    this.#entries = entries;
    this.#render = render;
  }

  /** Whether the newest entry has an element. */
  get atEnd() { return this.#to === this.#entries.length; }
  /** Whether the oldest entry has an element. */
  get atStart() { return this.#from === 0; }

  clear() {
    this.#list.replaceChildren();
    this.#from = this.#to = 0;
  }

  /**
   * Entry i was inserted. It gets an element if it is inside the range, or at an end of the range that is also an end of the
   * list.
   * @param {number} i
   */
  inserted(i) {
    const wasAtEnd = this.#to === this.#entries.length - 1;
    if (i < this.#from || (i === this.#from && i > 0)) {
      this.#from++;
      this.#to++;
    } else if (i < this.#to || (i === this.#to && wasAtEnd)) {
      this.#to++;
      this.#show(i, this.#entries[i + 1]?.node ?? null);
    }
  }

  /** The entry at index i was removed from the entries. @param {number} i @param {Entry} entry */
  removed(i, entry) {
    if (i < this.#from) this.#from--;
    if (i < this.#to) this.#to--;
    this.#hide(entry);
  }

  /**
   * Adjusts the range to the scroll position: moves it to the end if following, otherwise extends it when the reader comes near
   * its edge.
   * @param {boolean} following
   */
  update(following) {
    if (following) {
      if (!this.atEnd) this.#restart();
      else if (this.#to - this.#from > MOST) this.#trimStart(this.#to - this.#from - KEEP);
      return;
    }
    const { scrollTop, scrollHeight, clientHeight } = this.#scroller;
    if (scrollTop < 1.5 * clientHeight && this.#from > 0) this.still(() => this.#grow(-1));
    else if (scrollHeight - scrollTop - clientHeight < 1.5 * clientHeight && !this.atEnd) this.#grow(1);
    if (this.#to - this.#from > MOST) this.#trim();
  }

  /** Runs change() and keeps the visible messages at their position on the screen. @param {() => void} change */
  still(change) {
    // The anchor is the line of a message, not the day separator above it, which may disappear when older messages are added.
    const anchor = this.#inView();
    const line = anchor?.querySelector('.line') ?? anchor;
    const y = line?.getBoundingClientRect().top ?? 0;
    change();
    if (!line?.isConnected) return;
    const moved = line.getBoundingClientRect().top - y;
    if (moved) this.#scroller.scrollTop += moved;
  }

  #restart() {
    for (let i = this.#from; i < this.#to; i++) this.#hide(this.#entries[i]);
    this.#to = this.#entries.length;
    this.#from = Math.max(0, this.#to - KEEP);
    for (let i = this.#from; i < this.#to; i++) this.#show(i, null);
  }

  /** @param {1 | -1} way */
  #grow(way) {
    if (way > 0) {
      const to = Math.min(this.#entries.length, this.#to + STEP);
      for (; this.#to < to; this.#to++) this.#show(this.#to, null);
      return;
    }
    const from = Math.max(0, this.#from - STEP);
    for (; this.#from > from; this.#from--) this.#show(this.#from - 1, this.#entries[this.#from].node);
  }

  /** Removes elements from the end that is farther from the reader, never those close to the visible part. */
  #trim() {
    const { scrollTop, scrollHeight, clientHeight } = this.#scroller;
    const spare = this.#to - this.#from - KEEP;
    const far = (/** @type {number} */ i) => {
      const node = this.#node(i);
      const y = node.offsetTop - scrollTop;
      return y + node.offsetHeight < -2 * clientHeight || y > 3 * clientHeight;
    };
    let n = 0;
    if (scrollTop > scrollHeight - scrollTop - clientHeight) {
      while (n < spare && far(this.#from + n)) n++;
      this.still(() => this.#trimStart(n));
    } else {
      while (n < spare && far(this.#to - 1 - n)) n++;
      while (n-- > 0) this.#hide(this.#entries[--this.#to]);
    }
  }

  /** @param {number} n */
  #trimStart(n) {
    for (; n > 0; n--) this.#hide(this.#entries[this.#from++]);
  }

  /** The element of an entry of the range. @param {number} i */
  #node(i) { return /** @type {HTMLElement} */ (this.#entries[i].node); }

  #inView() {
    const top = this.#scroller.getBoundingClientRect().top;
    for (let i = this.#from; i < this.#to; i++) {
      const node = this.#node(i);
      if (node.getBoundingClientRect().bottom > top) return node;
    }
    return null;
  }

  /** @param {number} i @param {Node | null} before */
  #show(i, before) {
    const entry = this.#entries[i];
    entry.node = this.#render(i);
    this.#list.insertBefore(entry.node, before);
  }

  /** @param {Entry} entry */
  #hide(entry) {
    if (!entry.node) return;
    // The focus must not be lost with a button that is scrolled away.
    if (entry.node.contains(document.activeElement)) this.#scroller.focus({ preventScroll: true });
    entry.node.remove();
    entry.node = null;
  }
}
