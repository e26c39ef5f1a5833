// The list item of a message: its content, time and delivery state.
import { attachment, transfer } from './message-attachment.js';
import { icon, make } from './dom.js';
import { has, t } from './i18n.js';
import { emojiOnly, linked } from './message-text.js';
import { clock, day, whole } from './format-time.js';
/** @import { Actions, Entry } from './message-entry.js' */

/** @type {Record<string, string>} */
const MARKS = { waiting: 'clock', sending: 'clock', failed: 'alert', sent: 'tick', delivered: 'ticks', read: 'read' };

/** The message's content: text with links, a picture, a voice message or a file. @param {Entry} entry @param {Actions} actions */
function content(entry, { onDrop }) {
  const carried = attachment(entry);
  const caption = entry.text ? [make('span', { className: 'caption', dir: 'auto' }, ...linked(entry.text))] : [];
  const onItsWay = entry.file.name && !entry.id && !entry.url && entry.state !== 'failed' ? [transfer(entry.share ?? 0, onDrop)] : [];
  return [...carried, ...onItsWay, ...caption];
}

/** The text for an error code; a general one if the code is unknown. @param {string | undefined} code */
function reason(code) {
  const key = `talk.failed_${code}`;
  return has(key) ? t(key) : t('talk.failed');
}

/**
 * Makes the list item of an entry.
 * @param {Entry} entry
 * @param {Actions} actions
 */
export function bubble(entry, actions) {
  const meta = make('span', { className: 'meta' });
  const body = make('div', { className: 'bubble', data: { type: entry.type } }, ...content(entry, actions));
  const node = make('li', { className: 'message' }, make('div', { className: 'line' }, body, meta));
  body.classList.toggle('large', entry.type === 'text' && emojiOnly(entry.text));
  if (entry.own) node.classList.add('own');
  else if (entry.system) node.classList.add('system');
  else node.prepend(make('span', { className: 'author', attrs: { 'aria-hidden': 'true' } }, actions.face(entry)));
  // A tap shows the time on devices without hover.
  body.addEventListener('click', (event) => {
    if (!(/** @type {Element} */ (event.target).closest('a, button, input'))) node.classList.toggle('shown');
  });
  progress(node, entry, actions);
  return node;
}

/** Updates the content of an entry's list item. @param {HTMLElement} node @param {Entry} entry @param {Actions} actions */
export function refill(node, entry, actions) {
  const body = /** @type {Element} */ (node.querySelector('.bubble'));
  body.replaceChildren(...content(entry, actions));
  body.classList.toggle('large', entry.type === 'text' && emojiOnly(entry.text));
}

/** Says that a message was edited. @param {Entry} entry @param {string} [words] */
export const editedMark = ({ edited }, words = t('talk.edited')) => (edited ? make('span', { className: 'edited' }, words) : '');

/** Updates time and state in an entry's list item. @param {HTMLElement} node @param {Entry} entry @param {Actions} actions */
export function progress(node, entry, { onRetry, onDrop, marks, tools }) {
  node.dataset.state = entry.own ? entry.state : 'received';
  if (entry.id) node.dataset.id = String(entry.id);
  if (entry.clientID) node.dataset.client = entry.clientID;
  const at = make('time', { dateTime: entry.at.toISOString(), title: whole(entry.at) }, clock(entry.at));
  const said = entry.own ? make('span', { className: 'unseen' }, t(`talk.state_${entry.state}`)) : '';
  const sign = entry.own ? icon(MARKS[entry.state]) : '';
  node.querySelector('.meta')?.replaceChildren(entry.reaction ?? '', marks(entry), at, sign, said);
  // Made only once, so that a later change of the state does not remove a focused button.
  const line = /** @type {Element} */ (node.querySelector('.line'));
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

/** The line that separates two days. */
export const dayLine = (/** @type {Date} */ at) => make('div', { className: 'day' }, make('time', {}, day(at)));
