// What is known about the visitor, beside the conversation.
import { byId, face, icon, make } from '../lib/dom.js';
import { lang, t } from '../lib/i18n.js';
import { safeURL } from '../lib/text.js';
import { whole } from '../lib/time.js';

export function showFacts(thread) {
  const pane = byId('facts');
  pane.hidden = !thread;
  if (!thread) return;
  const name = thread.name || t('console.nameless');
  byId('facts-face').replaceChildren(face(name, 'large'), make('h2', { attrs: { dir: 'auto' } }, name),
    make('p', { className: thread.online ? 'presence online' : 'presence quiet' }, t(thread.online ? 'console.online' : 'console.offline')));
  const rows = [];
  const row = (sign, label, value) => {
    if (value) rows.push(make('div', { className: 'fact' }, make('dt', {}, icon(sign), label), make('dd', {}, value)));
  };
  row('phone', t('console.phone'), thread.phone && make('a', { href: `tel:${thread.phone.replace(/[^\d+]/g, '')}` }, thread.phone));
  row('globe', t('console.language'), language(thread.locale));
  row('page', t('console.page'), link(thread.page));
  row('clock', t('console.first_seen'), thread.created && make('time', { dateTime: thread.created.toISOString() }, whole(thread.created)));
  row('return', t('console.last_seen'), thread.seen && make('time', { dateTime: thread.seen.toISOString() }, whole(thread.seen)));
  row('talk', t('console.messages'), thread.messages ? make('span', { className: 'number' }, new Intl.NumberFormat(lang).format(thread.messages)) : null);
  byId('facts-list').replaceChildren(...rows);
}

function language(code) {
  if (!code) return null;
  try {
    return new Intl.DisplayNames(lang, { type: 'language' }).of(code) ?? code;
  } catch {
    return code; // not a language tag; show what the page said
  }
}

function link(address) {
  const url = address && safeURL(address);
  if (!url) return address || null;
  const { host, pathname } = new URL(url);
  return make('a', { href: url, target: '_blank', rel: 'noopener noreferrer nofollow' }, host + (pathname === '/' ? '' : pathname));
}
