// One message as elements: what it says, when, and how far it got.
import { attachment, transfer } from './attachment.js';
import { icon, make } from './dom.js';
import { has, t } from './i18n.js';
import { emojiOnly, linked } from './text.js';
import { clock, day, whole } from './time.js';

const MARKS = { waiting: 'clock', sending: 'clock', failed: 'alert', sent: 'tick', delivered: 'ticks', read: 'read' };

/** What the message says and carries: text with links, a picture, a voice, or a file. */
function content(entry, { onDrop }) {
  const carried = attachment(entry);
  const caption = entry.text ? [make('span', { className: 'caption', dir: 'auto' }, ...linked(entry.text))] : [];
  const onItsWay = entry.file?.name && !entry.id && !entry.url && entry.state !== 'failed' ? [transfer(entry.share ?? 0, onDrop)] : [];
  return [...carried, ...onItsWay, ...caption];
}

/** Why a message failed, in words: our own for known codes. */
function reason(code) {
  const key = `talk.failed_${code}`;
  return has(key) ? t(key) : t('talk.failed');
}

/**
 * Makes the list item of an entry (see talk.js). `face(entry)` gives the other
 * side's face; onRetry and onDrop belong to a failed message; `tools(entry)`
 * gives the buttons beside one that is stored.
 */
export function bubble(entry, { face, onRetry, onDrop, tools }) {
  const meta = make('span', { className: 'meta' });
  const body = make('div', { className: 'bubble', data: { type: entry.type } }, ...content(entry, { onDrop }));
  const node = make('li', { className: 'message' }, make('div', { className: 'line' }, body, meta));
  body.classList.toggle('large', entry.type === 'text' && emojiOnly(entry.text));
  if (entry.own) node.classList.add('own');
  else if (entry.system) node.classList.add('system');
  else node.prepend(make('span', { className: 'author', attrs: { 'aria-hidden': 'true' } }, face(entry)));
  // A tap shows the time where there is no pointer to hover with.
  body.addEventListener('click', (event) => {
    if (!event.target.closest('a, button, input')) node.classList.toggle('shown');
  });
  progress(node, entry, { onRetry, onDrop, tools });
  return node;
}

/** Shows what an entry says now. */
export function refill(node, entry, actions) {
  const body = node.querySelector('.bubble');
  body.replaceChildren(...content(entry, actions));
  body.classList.toggle('large', entry.type === 'text' && emojiOnly(entry.text));
}

/** Shows time and state of an entry in its list item. */
export function progress(node, entry, { onRetry, onDrop, tools }) {
  node.dataset.state = entry.own ? entry.state : 'received';
  if (entry.id) node.dataset.id = entry.id;
  if (entry.clientID) node.dataset.client = entry.clientID;
  const at = make('time', { dateTime: entry.at.toISOString(), title: whole(entry.at) }, clock(entry.at));
  const said = entry.own ? make('span', { className: 'unseen' }, t(`talk.state_${entry.state}`)) : null;
  const sign = entry.own ? icon(MARKS[entry.state]) : null;
  const changed = entry.edited ? make('span', { className: 'edited' }, t('talk.edited')) : null;
  node.querySelector('.meta').replaceChildren(...[entry.reaction, changed, at, sign, said].filter(Boolean));
  // Made once, so that a mark which comes later takes the focus from none of them.
  const line = node.querySelector('.line');
  if (entry.id && !line.querySelector('.tools')) {
    const buttons = tools(entry);
    if (buttons.length) line.append(make('span', { className: 'tools' }, ...buttons));
  }
  node.querySelector('.failure')?.remove();
  if (entry.id || entry.url || entry.state === 'failed') node.querySelector('.transfer')?.remove();
  if (entry.below) node.append(entry.below);
  if (entry.state !== 'failed') return;
  node.append(make('div', { className: 'failure', attrs: { role: 'alert' } },
    make('span', {}, reason(entry.code)),
    make('button', { type: 'button', className: 'text retry', onclick: onRetry }, t('talk.retry')),
    make('button', { type: 'button', className: 'text drop', onclick: onDrop }, t('talk.drop'))));
}

/** The line between two days. */
export const dayLine = (at) => make('div', { className: 'day' }, make('time', {}, day(at)));
