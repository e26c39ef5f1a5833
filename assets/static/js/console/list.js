// Draws the list of conversations: one row each, kept and moved instead of made anew.
import { byId, face, icon, make } from '../lib/dom.js';
import { t } from '../lib/i18n.js';
import { ago, whole } from '../lib/time.js';

// From this many minutes on, a visitor's wait is worth a line of its own.
const LONG_WAIT = 5;
const TICK = 20_000;

export class List {
  #threads;
  #open;
  #rows = new Map();
  #list = byId('threads');
  #state = byId('list-state');
  #typing = new Set();
  #drawing = false;
  current = null;

  /**
   * @param {Threads} threads
   * @param {(id: string) => void} open
   */
  constructor(threads, open) {
    this.#threads = threads;
    this.#open = open;
    threads.addEventListener('change', () => this.draw());
    const scroller = byId('list-scroller');
    scroller.addEventListener('scroll', () => {
      if (scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < 400) threads.loadMore();
    }, { passive: true });
    this.#list.addEventListener('keydown', (event) => this.#walk(event));
    setInterval(() => this.draw(), TICK);
    this.draw();
  }

  typing(id, on) {
    if (on) this.#typing.add(id); else this.#typing.delete(id);
    this.draw();
  }

  /** Puts the focus on a row, or on the search when the row is gone. */
  focus(id) { (this.#rows.get(id)?.button ?? byId('search')).focus(); }

  /** Draws once per frame, however often it is asked. */
  draw() {
    if (this.#drawing) return;
    this.#drawing = true;
    requestAnimationFrame(() => {
      this.#drawing = false;
      this.#draw();
    });
  }

  #draw() {
    const all = this.#threads.all;
    const ids = new Set(all.map((thread) => thread.id));
    for (const [id, row] of this.#rows) {
      if (ids.has(id)) continue;
      row.item.remove();
      this.#rows.delete(id);
    }
    let place = this.#list.firstElementChild;
    for (const thread of all) {
      const row = this.#rows.get(thread.id) ?? this.#add(thread);
      this.#fill(row, thread);
      if (row.item === place) {
        place = place.nextElementSibling;
      } else {
        // Moving an element takes the focus from it; give it back.
        const focused = document.activeElement === row.button;
        this.#list.insertBefore(row.item, place);
        if (focused) row.button.focus({ preventScroll: true });
      }
    }
    this.#say(all.length);
  }

  #add(thread) {
    const row = {
      name: make('span', { className: 'row-name', attrs: { dir: 'auto' } }),
      time: make('time', { className: 'row-time' }),
      last: make('span', { className: 'row-last', attrs: { dir: 'auto' } }),
      badge: make('span', { className: 'badge number' }),
      dot: make('span', { className: 'dot' }),
      wait: make('span', { className: 'row-wait' }),
      face: make('span', { className: 'row-face' }),
    };
    row.face.append(row.dot);
    row.button = make('button', { type: 'button', className: 'row', onclick: () => this.#open(thread.id) },
      row.face, make('span', { className: 'row-top' }, row.name, row.time), make('span', { className: 'row-bottom' }, row.last, row.badge), row.wait);
    row.item = make('li', {}, row.button);
    this.#rows.set(thread.id, row);
    return row;
  }

  #fill(row, thread) {
    const name = thread.name || t('console.nameless');
    if (row.shown !== name) {
      row.shown = name;
      row.name.textContent = name;
      row.face.replaceChildren(face(name), row.dot);
    }
    const at = thread.lastAt ?? thread.active;
    row.time.textContent = ago(at);
    row.time.dateTime = at.toISOString();
    row.time.title = whole(at);
    const typing = this.#typing.has(thread.id);
    const mine = thread.lastFrom && thread.lastFrom !== 'visitor' && thread.lastFrom !== 'system';
    row.last.textContent = typing ? t('console.typing') : preview(thread, mine);
    row.last.classList.toggle('lively', typing);
    row.badge.textContent = thread.unread > 99 ? '99+' : thread.unread || '';
    row.badge.hidden = !thread.unread;
    row.badge.setAttribute('aria-label', thread.unread ? t('console.unread', { n: thread.unread }) : '');
    row.dot.hidden = !thread.online;
    row.dot.title = t('console.online');
    const minutes = thread.unread && thread.lastAt ? Math.floor((Date.now() - thread.lastAt) / 60_000) : 0;
    row.wait.hidden = minutes < LONG_WAIT;
    if (minutes >= LONG_WAIT) row.wait.replaceChildren(icon('clock'), t('console.waiting', { time: ago(thread.lastAt) }));
    row.item.classList.toggle('unread', thread.unread > 0);
    row.item.classList.toggle('online', thread.online);
    if (thread.id === this.current) row.button.setAttribute('aria-current', 'true');
    else row.button.removeAttribute('aria-current');
  }

  #say(shown) {
    const { state, query, error } = this.#threads;
    const parts = [];
    if (state === 'failed') {
      parts.push(icon('alert'), make('p', {}, t(error.code === 'network' ? 'console.list_offline' : 'console.list_failed')),
        make('button', { type: 'button', className: 'button plain', onclick: () => this.#threads.load() }, t('common.again')));
    } else if (state === 'ready' && shown === 0) {
      parts.push(icon(query ? 'search' : 'talk'), make('p', {}, query ? t('console.nothing_found', { q: query }) : t('console.nothing_yet')));
    }
    // Drawn only when it says something else than before: it is a live region.
    const said = parts.map((part) => part.textContent).join('|');
    if (this.#state.dataset.said === said) return;
    this.#state.dataset.said = said;
    this.#state.replaceChildren(...parts);
  }

  #walk(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    const rows = [...this.#list.querySelectorAll('.row')];
    const next = rows[rows.indexOf(document.activeElement) + step];
    if (!next) return;
    event.preventDefault();
    next.focus();
  }
}

function preview(thread, mine) {
  const kinds = { image: 'talk.picture', audio: 'talk.voice', file: 'talk.file' };
  const text = thread.last || (thread.lastType in kinds ? t(kinds[thread.lastType]) : '');
  if (!text) return t('console.no_message');
  return mine ? t('console.mine', { text }) : text;
}
