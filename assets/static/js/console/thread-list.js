// Renders the list of conversations. Only visible rows exist, however long the list is; elements are reused on scrolling.
import { byId, icon, make } from '../lib/dom.js';
import { agentFace, face } from '../lib/face.js';
import { t } from '../lib/i18n.js';
import { FILE_TEXTS } from '../lib/message-entry.js';
import { ago, span, whole } from '../lib/format-time.js';
/** @import { Teammates } from './teammates.js' */
/** @import { Thread, ThreadStore } from './thread-store.js' */

// From this many minutes on, a visitor's waiting time gets a line of its own.
const LONG_WAIT = 5;
const TICK = 20_000;
const SPARE = 6; // rows rendered beyond either edge
const EDGE = 8; // px above the first row and below the last
// While the pointer moves or clicks, rows keep their positions for AIM ms, so that a click hits the intended row, but for at most
// AIM_MOST ms at a stretch.
const AIM = 500;
const AIM_MOST = 3000;

const minutes = (/** @type {Date | null} */ since) => (since ? Math.floor((Date.now() - since.getTime()) / 60_000) : 0);
const waitsLong = (/** @type {Thread} */ thread) => thread.status === 'active' && !thread.blocked && minutes(thread.waiting) >= LONG_WAIT;

/** @typedef {ReturnType<typeof makeRow>} Row the elements of a row, and the name and sign that they show */
/** @typedef {{id: string | undefined, place: number, top: number}} Held a visible row and its position */

export class ThreadList {
  #threads;
  #teammates;
  #mentions;
  #open;
  /** @type {Map<string | number, Row>} */
  #rows = new Map(); // rendered rows by conversation id, or by index while it is not loaded
  /** @type {Row[]} */
  #spare = []; // unused rows
  #list = byId('threads');
  #scroller = byId('list-scroller');
  #state = byId('list-state');
  /** @type {Set<string>} */
  #typing = new Set();
  #drawing = false;
  #changed = false;
  #made = 0;
  #tops = [EDGE]; // top of each row in px, and the end of the last one
  #height = { row: 72, tall: 92 };
  /** @type {{listed: Thread[], total: number}} */
  #drawn = { listed: [], total: 0 }; // as in ThreadStore at the last layout
  /** @type {string[]} */
  #order = []; // its ids
  /** @type {{since: number, timer: number} | null} */
  #aim = null; // while rows keep their positions: the start time, and the timer that ends it
  /** @type {string | null} */
  #active = null; // the conversation selected by the arrow keys
  /** @type {string | null} */
  current = null;

  /**
   * @param {ThreadStore} threads
   * @param {Teammates} teammates
   * @param {(id: string) => boolean} mentions whether an unseen note of a conversation mentions the agent
   * @param {(id: string) => void} open
   */
  constructor(threads, teammates, mentions, open) {
    this.#threads = threads;
    this.#teammates = teammates;
    this.#mentions = mentions;
    teammates.addEventListener('thread', () => this.draw());
    this.#open = open;
    threads.addEventListener('change', () => this.draw());
    this.#scroller.addEventListener('scroll', () => {
      this.#unfreeze();
      this.#schedule(false);
    }, { passive: true });
    // Scrolling below a resting pointer also dispatches pointermove, with no movement.
    this.#list.addEventListener('pointermove', (event) => { if (event.pointerType === 'mouse' && (event.movementX || event.movementY)) this.#freeze(); });
    this.#list.addEventListener('pointerdown', () => this.#freeze());
    this.#list.addEventListener('click', () => this.#freeze()); // a second click may follow
    for (const end of ['pointerleave', 'pointercancel']) this.#list.addEventListener(end, () => this.#unfreeze());
    new ResizeObserver(() => this.draw()).observe(this.#scroller);
    this.#list.addEventListener('keydown', (event) => this.#onKey(event));
    this.#list.addEventListener('focus', () => { this.#active ??= this.current ?? this.#order[0] ?? null; this.#renderVisible(); });
    this.#list.addEventListener('click', (event) => {
      const id = [...this.#rows].find(([, row]) => row.item.contains(/** @type {Element} */ (event.target)))?.[0];
      if (typeof id !== 'string' || !this.#threads.get(id)) return; // no row, or one whose conversation is not loaded or gone
      this.#active = id;
      this.#open(id);
    });
    setInterval(() => this.draw(), TICK);
    this.draw();
  }

  /** @param {string} id @param {boolean} on */
  typing(id, on) {
    if (on) this.#typing.add(id); else this.#typing.delete(id);
    this.draw();
  }

  /** Focuses the list at a row, or the search field if the list is empty. */
  focus(id = this.#active) {
    if (!this.#order.length) {
      byId('search').focus();
      return;
    }
    this.#active = id && this.#order.includes(id) ? id : this.#order[0];
    this.#show(this.#order.indexOf(this.#active));
    this.#list.focus({ preventScroll: true });
    this.#renderVisible();
  }

  /** The id of the conversation `step` rows from `id`; null beyond either end. @param {string | null} id @param {1 | -1} step */
  adjacent(id, step) {
    const at = id ? this.#order.indexOf(id) : -1;
    return this.#order[at < 0 ? 0 : at + step] ?? null;
  }

  /** Scrolls a row into view without focusing it. @param {string} id */
  reveal(id) {
    const at = this.#order.indexOf(id);
    if (at >= 0) this.#show(at);
  }

  /** Scrolls to the top, e.g. when another list is shown. */
  toTop() {
    this.#unfreeze();
    this.#order = [];
    this.#scroller.scrollTop = 0;
  }

  /** Schedules a layout, at most one per frame. */
  draw() { this.#schedule(true); }

  /** `changed`: the list itself may have changed, not only the scroll position. @param {boolean} changed */
  #schedule(changed) {
    this.#changed ||= changed;
    if (this.#drawing) return;
    this.#drawing = true;
    requestAnimationFrame(() => {
      this.#drawing = false;
      if (this.#changed) this.#layout();
      this.#changed = false;
      this.#renderVisible();
    });
  }

  /** Makes rows keep their positions for a moment, because the pointer is aiming at one. */
  #freeze() {
    const now = performance.now();
    const since = this.#aim?.since ?? now;
    clearTimeout(this.#aim?.timer);
    this.#aim = { since, timer: setTimeout(() => this.#unfreeze(), Math.max(0, Math.min(AIM, since + AIM_MOST - now))) };
  }

  /** Ends that: rows move to their current positions. */
  #unfreeze() {
    if (!this.#aim) return;
    clearTimeout(this.#aim.timer);
    this.#aim = null;
    this.#layout(); // not in the next frame, before which the pointer may move again
    this.#renderVisible();
  }

  /** Computes the position of every row, and keeps the scroll position relative to the visible rows. */
  #layout() {
    const em = parseFloat(getComputedStyle(document.documentElement).fontSize);
    this.#height = { row: Math.round(4.5 * em), tall: Math.round(5.75 * em) };
    const held = this.#visibleRows();
    this.#drawn = this.#aim
      ? { ...this.#drawn, listed: this.#drawn.listed.map((thread) => this.#threads.get(thread.id) ?? thread) }
      : { listed: this.#threads.listed, total: this.#threads.total };
    const { listed, total } = this.#drawn;
    const tops = new Array(total + 1);
    tops[0] = EDGE;
    for (let i = 0; i < total; i++) tops[i + 1] = tops[i] + (listed[i] && waitsLong(listed[i]) ? this.#height.tall : this.#height.row);
    this.#tops = tops;
    this.#order = listed.map((thread) => thread.id);
    this.#list.style.blockSize = `${tops[total] + EDGE}px`;
    this.#list.hidden = total === 0;
    if (held) this.#restorePosition(held);
    this.#showState(total);
  }

  /**
   * The visible conversations and their positions, 'end' at the end of the list; null at the top, where new rows should push the others down.
   * @returns {Held[] | 'end' | null}
   */
  #visibleRows() {
    const { scrollTop: top, scrollHeight, clientHeight } = this.#scroller;
    if (top < 1 || this.#tops.length < 2) return null;
    if (scrollHeight - top - clientHeight < 1) return 'end';
    /** @type {Held[]} */
    const held = [];
    for (let place = this.#at(top), last = this.#at(top + clientHeight); place <= last; place++) held.push({ id: this.#order[place], place, top: this.#tops[place] });
    return held;
  }

  /**
   * Scrolls so that a row visible before keeps its position; if rows moved by different amounts, by the smallest one. Rows that
   * were not loaded are identified by their index.
   * @param {Held[] | 'end'} held
   */
  #restorePosition(held) {
    if (held === 'end') {
      this.#scroller.scrollTop = this.#scroller.scrollHeight;
      return;
    }
    const places = new Map(this.#order.map((id, i) => [id, i]));
    const moves = held.map(({ id, place, top }) => (this.#tops[id ? places.get(id) ?? -1 : place] ?? NaN) - top).filter((move) => !Number.isNaN(move));
    if (!moves.length) return;
    const move = moves.reduce((a, b) => (Math.abs(b) < Math.abs(a) ? b : a));
    if (move) this.#scroller.scrollTop += move;
  }

  /** The index of the row at y px. @param {number} y */
  #at(y) {
    let [low, high] = [0, this.#tops.length - 2];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.#tops[middle] <= y) low = middle; else high = middle - 1;
    }
    return Math.max(0, low);
  }

  /** Renders the visible rows, and loads their conversations if they are missing. */
  #renderVisible() {
    const { listed, total } = this.#drawn;
    const top = this.#scroller.scrollTop;
    const first = Math.max(0, this.#at(top) - SPARE);
    const last = Math.min(total - 1, this.#at(top + this.#scroller.clientHeight) + SPARE);
    /** @type {Map<string | number, number>} */
    const wanted = new Map();
    for (let i = first; i <= last; i++) wanted.set(listed[i]?.id ?? i, i); // a row whose conversation is not loaded has its index as key
    // The row selected by the keyboard always exists, for screen readers.
    const active = this.#active === null ? -1 : this.#order.indexOf(this.#active);
    if (active >= 0) wanted.set(this.#order[active], active);
    for (const [id, row] of this.#rows) {
      if (wanted.has(id)) continue;
      this.#rows.delete(id);
      row.item.remove();
      this.#spare.push(row);
    }
    let place = this.#list.firstElementChild;
    for (const [id, i] of [...wanted].sort((a, b) => a[1] - b[1])) {
      let row = this.#rows.get(id);
      if (!row) {
        row = this.#spare.pop() ?? makeRow(++this.#made);
        this.#rows.set(id, row);
      }
      if (row.item === place) place = place.nextElementSibling;
      else this.#list.insertBefore(row.item, place); // document order equals visual order
      row.item.style.transform = `translateY(${this.#tops[i]}px)`;
      row.item.style.blockSize = `${this.#tops[i + 1] - this.#tops[i]}px`;
      row.item.setAttribute('aria-posinset', String(i + 1));
      row.item.setAttribute('aria-setsize', String(total));
      if (listed[i]) this.#fill(row, listed[i]); else this.#blank(row);
    }
    if (this.#spare.length > 4 * SPARE) this.#spare.length = 4 * SPARE;
    const at = this.#active && this.#rows.get(this.#active);
    if (at) this.#list.setAttribute('aria-activedescendant', at.item.id);
    else this.#list.removeAttribute('aria-activedescendant');
    if (last >= listed.length) this.#threads.reach(last);
  }

  /** Renders a placeholder for a conversation that is being loaded. @param {Row} row */
  #blank(row) {
    row.shown = '';
    row.item.className = 'row coming';
    row.item.setAttribute('aria-selected', 'false');
    row.item.setAttribute('aria-label', t('console.coming'));
  }

  /** @param {Row} row @param {Thread} thread */
  #fill(row, thread) {
    const name = thread.name || t('console.nameless');
    if (row.shown !== name) {
      row.shown = name;
      row.name.textContent = name;
      row.face.replaceChildren(face(name), row.dot);
    }
    put(row.time, ago(thread.lastAt));
    row.time.dateTime = thread.lastAt.toISOString();
    row.time.title = whole(thread.lastAt);
    const typing = this.#typing.has(thread.id);
    const mine = thread.lastFrom !== '' && thread.lastFrom !== 'visitor' && thread.lastFrom !== 'system';
    put(row.last, typing ? t('console.typing') : preview(thread, mine));
    put(row.badge, thread.unread > 99 ? '99+' : String(thread.unread || ''));
    row.badge.hidden = !thread.unread;
    const sign = thread.blocked ? 'block' : thread.status === 'closed' ? 'done' : '';
    if (row.signed !== sign) {
      row.signed = sign;
      row.sign.replaceChildren(...(sign ? [icon(sign), make('span', { className: 'unseen' }, t(sign === 'block' ? 'console.blocked' : 'console.closed'))] : []));
    }
    put(row.unread, [thread.unread ? t('console.unread', { n: thread.unread }) : '', thread.online ? t('console.online') : ''].filter(Boolean).join(', '));
    row.dot.hidden = !thread.online;
    const who = thread.assignee;
    const shown = who ? `${who.name} ${who.avatar_url}` : '';
    if (row.assigned !== shown) {
      row.assigned = shown;
      row.agent.title = who?.name ?? '';
      row.agent.replaceChildren(...(who ? [agentFace(who), make('span', { className: 'unseen' }, t('console.assigned_to', { name: who.name }))] : []));
    }
    this.#fillOthers(row, thread.id);
    const long = waitsLong(thread);
    row.wait.hidden = !long;
    if (long) put(row.waited, t('console.waiting', { time: span(minutes(thread.waiting)) }));
    const states = ['row', thread.unread && 'unread', thread.online && 'online', typing && 'lively', long && 'waits', thread.blocked && 'is-blocked',
      thread.status === 'closed' && 'is-closed', thread.id === this.#active && 'active'];
    row.item.className = states.filter(Boolean).join(' ');
    row.item.setAttribute('aria-selected', String(thread.id === this.current));
    row.item.removeAttribute('aria-label');
  }

  /** What other agents do in a conversation, and whether a note mentions this one. @param {Row} row @param {string} id */
  #fillOthers(row, id) {
    const [typist] = this.#teammates.typing(id);
    const viewers = this.#teammates.viewing(id).map(({ name }) => name).join(', ');
    const others = typist ? t(typist.note ? 'console.writing_note' : 'console.writing_answer', { name: typist.agent.name }) : viewers && t('console.viewing', { name: viewers });
    if (row.others.title !== others) {
      row.others.title = others;
      row.others.replaceChildren(...(others ? [icon(typist ? 'pencil' : 'eye'), make('span', { className: 'unseen' }, others)] : []));
    }
    const mentioned = this.#mentions(id) ? t('console.mentioned') : '';
    if (row.mention.title !== mentioned) {
      row.mention.title = mentioned;
      row.mention.replaceChildren(...(mentioned ? ['@', make('span', { className: 'unseen' }, mentioned)] : []));
    }
  }

  /** @param {number} shown */
  #showState(shown) {
    const { state, query, filter, error } = this.#threads;
    const parts = [];
    if (state === 'failed') {
      parts.push(icon('alert'), make('p', {}, t(/** @type {Failure} */ (error).code === 'network' ? 'console.list_offline' : 'console.list_failed')),
        make('button', { type: 'button', className: 'button plain', onclick: () => this.#threads.load() }, t('common.again')));
    } else if (state === 'ready' && shown === 0) {
      const nothing = { active: 'console.nothing_yet', waiting: 'console.nothing_waiting', closed: 'console.nothing_closed', mine: 'console.nothing_mine', unassigned: 'console.nothing_unassigned' }[filter];
      parts.push(icon(query ? 'search' : filter === 'waiting' ? 'done' : 'speech'), make('p', {}, query ? t('console.nothing_found', { q: query }) : t(nothing)));
    }
    // Updated only if the text changes, because it is a live region.
    const said = parts.map((part) => part.textContent).join('|');
    if (this.#state.dataset.said === said) return;
    this.#state.dataset.said = said;
    this.#state.replaceChildren(...parts);
  }

  /** @param {KeyboardEvent} event */
  #onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const at = this.#active ? this.#order.indexOf(this.#active) : -1;
    const page = Math.max(1, Math.floor(this.#scroller.clientHeight / this.#height.row) - 1);
    const to = /** @type {Lookup<number>} */ ({
      ArrowDown: at + 1, ArrowUp: at - 1, PageDown: at + page, PageUp: at - page, Home: 0, End: this.#threads.total - 1,
    })[event.key];
    if (event.key === 'Enter' || event.key === ' ') {
      event.preventDefault();
      if (this.#active) this.#open(this.#active);
      return;
    }
    if (to === undefined) return;
    event.preventDefault();
    this.#go(Math.max(0, Math.min(to, this.#threads.total - 1)));
  }

  /** @param {number} place */
  async #go(place) {
    this.#unfreeze();
    await this.#threads.reach(place);
    const { listed } = this.#threads;
    const thread = listed[Math.min(place, listed.length - 1)];
    if (!thread) return;
    this.#active = thread.id;
    this.#layout();
    this.#show(this.#order.indexOf(thread.id));
    this.#renderVisible();
  }

  /** @param {number} place */
  #show(place) {
    const { scrollTop, clientHeight } = this.#scroller;
    const [top, bottom] = [this.#tops[place] - EDGE, this.#tops[place + 1] + EDGE];
    if (top < scrollTop) this.#scroller.scrollTop = top;
    else if (bottom > scrollTop + clientHeight) this.#scroller.scrollTop = bottom - clientHeight;
  }
}

/** @param {number} n */
function makeRow(n) {
  const name = make('span', { className: 'row-name', attrs: { dir: 'auto' } });
  const time = make('time', { className: 'row-time' });
  const last = make('span', { className: 'row-last', attrs: { dir: 'auto' } });
  const badge = make('span', { className: 'badge number', attrs: { 'aria-hidden': 'true' } });
  const unread = make('span', { className: 'unseen' });
  const agent = make('span', { className: 'row-agent', attrs: { 'data-team': '' } });
  const others = make('span', { className: 'row-others' });
  const mention = make('span', { className: 'row-mention' });
  const dot = make('span', { className: 'dot', attrs: { 'aria-hidden': 'true' } });
  const sign = make('span', { className: 'row-sign' });
  const waited = make('span');
  const wait = make('span', { className: 'row-wait' }, icon('clock'), waited);
  const face = make('span', { className: 'row-face' });
  const item = make('li', { className: 'row', id: `row-${n}`, attrs: { role: 'option' } },
    face, make('span', { className: 'row-top' }, name, sign, time), make('span', { className: 'row-bottom' }, last, mention, others, agent, badge, unread), wait);
  return { item, face, name, time, last, badge, unread, mention, others, agent, dot, sign, wait, waited, shown: '', signed: '', assigned: '' };
}

/** Sets a text only if it differs, because most rows rarely change. @param {HTMLElement} node @param {string} text */
function put(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** @param {Thread} thread @param {boolean} mine */
function preview(thread, mine) {
  const kind = FILE_TEXTS[thread.lastType];
  const text = thread.last || (kind ? t(kind) : '');
  if (!text) return t('console.no_message');
  return mine ? t('console.mine', { text: `\u2068${text}\u2069` }) : text; // bidi isolation keeps punctuation with its text
}
