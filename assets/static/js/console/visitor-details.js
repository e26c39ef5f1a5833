// The pane with the visitor's details next to the conversation.
import { byId, icon, make } from '../lib/dom.js';
import { face } from '../lib/face.js';
import { count, lang, t } from '../lib/i18n.js';
import { safeURL } from '../lib/message-text.js';
import { ago, parse, whole } from '../lib/format-time.js';
/** @import { Connection } from '../lib/connection.js' */
/** @import { Thread } from './thread-store.js' */

/** The details that the server sent when the conversation was opened; {} until then. @type {Partial<Protocol.Facts> & {of?: string, blocked?: boolean}} */
let known = {};
/** @type {(row: Protocol.EarlierThread) => void} */
let openEarlier = () => {};
/** @type {(thread: Thread) => void} */
let reload = () => {};
let drawn = '';

/**
 * Loads the details that are not part of the list.
 * @param {Connection} connection
 * @param {Thread} thread
 * @param {(row: Protocol.EarlierThread) => void} open opens an earlier conversation
 */
export async function loadDetails(connection, thread, open) {
  known = {};
  openEarlier = open;
  reload = (now) => { loadDetails(connection, now, open).catch(() => { /* loaded at the next connect */ }); };
  showDetails(thread);
  const { facts } = await connection.request('facts', { thread_id: thread.id });
  known = { of: thread.id, blocked: thread.blocked, ...facts };
  return facts;
}

/** @param {Thread | null} thread */
export function showDetails(thread) {
  const pane = byId('facts');
  pane.hidden = !thread;
  if (!thread) {
    drawn = '';
    return;
  }
  const more = known.of === thread.id ? known : {};
  if (more.of && more.blocked !== thread.blocked) { // who did it is not known yet
    reload(thread);
    return;
  }
  // Rendered again only if something has changed, so that links keep the focus and the scroll position is kept.
  const now = JSON.stringify([thread, more, Math.floor(Date.now() / 60_000)]);
  if (now === drawn) return;
  drawn = now;
  const active = /** @type {HTMLElement | null} */ (document.activeElement);
  const focused = pane.contains(active) ? active?.dataset.fact : null;
  const name = thread.name || t('console.nameless');
  const verified = more.identity?.verified ? make('p', { className: 'verified' }, icon('done'), t('console.verified')) : null;
  byId('facts-face').replaceChildren(...[face(name, 'large'), make('h2', { attrs: { dir: 'auto' } }, name), verified,
    make('p', { className: thread.online ? 'presence online' : 'presence quiet' }, t(thread.online ? 'console.online' : 'console.offline'))].filter((part) => part !== null));
  byId('facts-list').replaceChildren(...rows(thread, more));
  const earlier = more.earlier ?? [];
  byId('earlier').hidden = !earlier.length;
  byId('earlier-list').replaceChildren(...earlier.map((row, i) => former(row, i)));
  if (focused) /** @type {HTMLElement | null} */ (pane.querySelector(`[data-fact="${focused}"]`))?.focus({ preventScroll: true });
}

/** @param {Thread} thread @param {Partial<Protocol.Facts>} more */
function rows(thread, more) {
  /** @type {HTMLElement[]} */
  const found = [];
  const row = (/** @type {string} */ sign, /** @type {string} */ label, /** @type {Child} */ value) => {
    if (value) found.push(make('div', { className: 'fact' }, make('dt', {}, icon(sign), label), make('dd', {}, value)));
  };
  row('phone', t('console.phone'), thread.phone && make('a', { href: `tel:${thread.phone.replace(/[^\d+]/g, '')}`, data: { fact: 'phone' } }, thread.phone));
  row('mail', t('console.email'), thread.email && make('a', { href: `mailto:${encodeURIComponent(thread.email).replace('%40', '@')}`, data: { fact: 'mail' } }, thread.email));
  row('person', t('console.identity'), more.identity?.verified ? make('span', { attrs: { dir: 'auto' } }, more.identity.id) : null);
  row('page', t('console.page'), page(thread.page || more.page_url, thread.pageTitle || more.page_title));
  row('globe', t('console.language'), language(thread.locale || more.locale));
  row('screen', t('console.device'), [more.browser, more.platform].filter(Boolean).join(' · '));
  row('clock', t('console.first_seen'), time(parse(more.first_seen) ?? thread.created));
  row('return', t('console.last_seen'), time(thread.seen));
  row('speech', t('console.messages'), thread.messages ? make('span', { className: 'number' }, new Intl.NumberFormat(lang).format(thread.messages)) : null);
  row('done', t(thread.status === 'closed' ? 'console.closed_who' : 'console.reopened_who'), thread.statusBy && named(thread.statusBy));
  row('block', t('console.blocked_who'), more.blocked_by && named(more.blocked_by));
  row('star', t('console.rating'), thread.rating ? rating(thread) : null);
  return found;
}

const named = (/** @type {Protocol.AgentReference} */ { name }) => make('span', { attrs: { dir: 'auto' } }, name);

const time = (/** @type {Date | null} */ at) => (at ? make('time', { dateTime: at.toISOString() }, whole(at)) : null);

/** @param {Thread} thread */
function rating({ rating: score, ratingComment: comment }) {
  const stars = make('span', { className: 'stars', attrs: { role: 'img', 'aria-label': t('console.rated', { n: score }) } },
    ...[1, 2, 3, 4, 5].map((n) => { const star = icon('star'); star.classList.toggle('full', n <= score); return star; }));
  return make('span', {}, stars, comment && make('q', { dir: 'auto', className: 'rating-comment' }, comment));
}

/** @param {Protocol.EarlierThread} row @param {number} i */
function former(row, i) {
  const at = parse(row.last_message_time) ?? parse(row.created_at);
  return make('li', {}, make('button', { type: 'button', className: 'earlier-row', data: { fact: `earlier-${i}` }, onclick: () => openEarlier(row) },
    make('span', { className: 'earlier-last', attrs: { dir: 'auto' } }, row.last_message || t('console.no_message')),
    make('span', { className: 'earlier-about quiet' }, [at && ago(at), count('console.messages_n', row.message_count), row.rating ? `${row.rating}/5` : ''].filter(Boolean).join(' · '))));
}

/** @param {string | undefined} code */
function language(code) {
  if (!code) return null;
  try {
    return new Intl.DisplayNames(lang, { type: 'language' }).of(code) ?? code;
  } catch {
    return code; // not a language tag; shown as the page sent it
  }
}

/** @param {string | undefined} address @param {string | undefined} title */
function page(address, title) {
  const url = address && safeURL(address);
  if (!url) return title || address || null;
  const { host, pathname } = new URL(url);
  const short = host + (pathname === '/' ? '' : pathname);
  return make('span', {}, make('a', { href: url, target: '_blank', rel: 'noopener noreferrer nofollow', data: { fact: 'page' } }, title || short),
    title ? make('span', { className: 'quiet fact-more', dir: 'ltr' }, short) : null);
}
