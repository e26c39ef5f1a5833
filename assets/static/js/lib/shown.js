// The part of a long conversation that stands in the document: one run of entries around the reader. Thousands may be known;
// no more than MOST have elements, so scrolling and typing stay as quick as on the first day.

const MOST = 160;
const KEEP = 120;
const STEP = 40;

export class Shown {
  #list;
  #scroller;
  #entries;
  #render;
  #from = 0;
  #to = 0;

  /**
   * @param {object} o
   * @param {HTMLElement} o.list holds the elements of the run and nothing else
   * @param {HTMLElement} o.scroller scrolls it, with overflow-anchor: none
   * @param {{node: ?HTMLElement}[]} o.entries all of them in order; changed by the owner, who tells of it
   * @param {(i: number) => HTMLElement} o.render makes the element of an entry
   */
  constructor({ list, scroller, entries, render }) {
    this.#list = list;
    this.#scroller = scroller;
    this.#entries = entries;
    this.#render = render;
  }

  /** The newest entry has its element. */
  get atEnd() { return this.#to === this.#entries.length; }
  /** The oldest one has. */
  get atStart() { return this.#from === 0; }

  clear() {
    this.#list.replaceChildren();
    this.#from = this.#to = 0;
  }

  /** Entry i is new among the entries. It gets an element inside the run, and at an end of it that is the end of all. */
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

  /** The entry that stood at i is no longer among the entries. */
  removed(i, entry) {
    if (i < this.#from) this.#from--;
    if (i < this.#to) this.#to--;
    this.#hide(entry);
  }

  /** Goes on with the run where the reader is: to the end when following, else up or down as they come near an edge of it. */
  settle(following) {
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

  /** Runs change() and keeps what is being read where it is. */
  still(change) {
    // What is read is the line of a message, not the day above it, which goes when older messages come.
    const anchor = this.#inView();
    const line = anchor?.querySelector('.line') ?? anchor;
    const y = line?.getBoundingClientRect().top;
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

  #grow(way) {
    if (way > 0) {
      const to = Math.min(this.#entries.length, this.#to + STEP);
      for (; this.#to < to; this.#to++) this.#show(this.#to, null);
      return;
    }
    const from = Math.max(0, this.#from - STEP);
    for (; this.#from > from; this.#from--) this.#show(this.#from - 1, this.#entries[this.#from].node);
  }

  /** Takes elements from the end that is farther from the reader, never those near to what is in view. */
  #trim() {
    const { scrollTop, scrollHeight, clientHeight } = this.#scroller;
    const spare = this.#to - this.#from - KEEP;
    const top = this.#entries[this.#from].node.offsetTop - scrollTop;
    const far = (node) => {
      const y = node.offsetTop - this.#entries[this.#from].node.offsetTop + top;
      return y + node.offsetHeight < -2 * clientHeight || y > 3 * clientHeight;
    };
    let n = 0;
    if (scrollTop > scrollHeight - scrollTop - clientHeight) {
      while (n < spare && far(this.#entries[this.#from + n].node)) n++;
      this.still(() => this.#trimStart(n));
    } else {
      while (n < spare && far(this.#entries[this.#to - 1 - n].node)) n++;
      while (n-- > 0) this.#hide(this.#entries[--this.#to]);
    }
  }

  #trimStart(n) {
    for (; n > 0; n--) this.#hide(this.#entries[this.#from++]);
  }

  #inView() {
    const top = this.#scroller.getBoundingClientRect().top;
    for (let i = this.#from; i < this.#to; i++) {
      const { node } = this.#entries[i];
      if (node.getBoundingClientRect().bottom > top) return node;
    }
    return null;
  }

  #show(i, before) {
    const entry = this.#entries[i];
    entry.node = this.#render(i);
    this.#list.insertBefore(entry.node, before);
  }

  #hide(entry) {
    if (!entry.node) return;
    // The focus must not fall off the page with a button that scrolled away.
    if (entry.node.contains(document.activeElement)) this.#scroller.focus({ preventScroll: true });
    entry.node.remove();
    entry.node = null;
  }
}
