// Canned replies: "/" in the composer opens a list of them, and the text after it filters the list. "@" does the same with agents in a note.
import { get } from '../lib/api.js';
import { byId, make } from '../lib/dom.js';
import { count, lang, t } from '../lib/i18n.js';

const MOST = 8;
const TOKEN = /(^|\s)([/@])([\p{L}\p{N}_-]*)$/u;

/** Without case and accents. @param {string} text */
export const fold = (text) => text.toLocaleLowerCase(lang).normalize('NFKD').replace(/\p{M}/gu, '').replaceAll('ı', 'i');

/** The rank of a match: at the start of the shortcut, elsewhere in the shortcut, in the text. @param {Protocol.CannedReply} reply @param {string} wanted */
function rank(reply, wanted) {
  const shortcut = fold(reply.shortcut);
  if (shortcut.startsWith(wanted)) return 0;
  if (shortcut.includes(wanted)) return 1;
  return fold(reply.text).includes(wanted) ? 2 : 3;
}

/** Events: `change` (the list changed). */
export class CannedReplies extends EventTarget {
  /** @type {Protocol.CannedReply[]} */
  all = [];
  #round = 0;

  /** If loads overlap, only the last one counts, because responses may arrive out of order. */
  async load() {
    const round = ++this.#round;
    const all = await get('api/canned');
    if (round !== this.#round) return;
    this.all = all;
    this.dispatchEvent(new Event('change'));
  }

  /** @param {string} query */
  find(query) {
    const wanted = fold(query);
    const ranked = this.all.map((reply) => ({ reply, rank: rank(reply, wanted) })).filter((one) => one.rank < 3);
    return ranked.sort((a, b) => a.rank - b.rank || a.reply.shortcut.localeCompare(b.reply.shortcut, lang)).slice(0, MOST).map((one) => one.reply);
  }
}

/** The text of a reply with placeholders replaced. @param {string} text @param {{name: string}} values */
export const filled = (text, { name }) => text.replaceAll('{name}', () => name);

/** @typedef {{title: string, about: string, text: string}} Suggestion what the list shows, and the text that it puts into the field */

/**
 * The list of canned replies, or of agents, above the composer.
 * @param {CannedReplies} canned
 * @param {object} o
 * @param {() => string} o.name the visitor's name
 * @param {() => void} o.manage
 * @param {(query: string) => Suggestion[]} o.agents the agents who can be mentioned now
 */
export function cannedPopup(canned, { name, manage, agents }) {
  const field = byId('text');
  const popup = byId('canned');
  const list = byId('canned-list');
  const said = byId('canned-said');
  /** @type {Suggestion[]} */
  let found = [];
  let at = 0;
  /** @type {string | null} */
  let dismissed = null; // the text for which it was closed by Escape

  const open = () => !popup.hidden;
  const token = () => (field.selectionStart === field.selectionEnd ? TOKEN.exec(field.value.slice(0, field.selectionStart)) : null);

  function close() {
    popup.hidden = true;
    field.removeAttribute('aria-activedescendant');
    field.removeAttribute('aria-controls');
    said.textContent = '';
  }

  function mark() {
    for (const [i, item] of [...list.children].entries()) item.setAttribute('aria-selected', String(i === at));
    list.children[at]?.scrollIntoView({ block: 'nearest' });
    if (found.length) field.setAttribute('aria-activedescendant', `canned-${at}`);
    else field.removeAttribute('aria-activedescendant');
  }

  function show() {
    const asked = token();
    if (!asked || field.value === dismissed) {
      if (open()) close();
      return;
    }
    dismissed = null;
    const [, , sign, query] = asked;
    const replies = sign === '/';
    found = replies ? canned.find(query).map((reply) => {
      const text = filled(reply.text, { name: name() });
      return { title: `/${reply.shortcut}`, about: text, text };
    }) : agents(fold(query));
    // A path or a date is no request for a reply: without matches the list stays hidden.
    if (!found.length && (query || !replies)) {
      if (open()) close();
      return;
    }
    at = 0;
    list.replaceChildren(...found.map((one, i) => make('li', { id: `canned-${i}`, attrs: { role: 'option' }, onclick: () => take(one) },
      make('b', { dir: 'auto' }, one.title), make('span', { dir: 'auto' }, one.about))));
    list.hidden = !found.length;
    list.setAttribute('aria-label', t(replies ? 'console.canned' : 'console.teammates'));
    byId('canned-manage').hidden = !replies;
    byId('canned-none').hidden = found.length > 0;
    field.setAttribute('aria-controls', 'canned-list');
    popup.hidden = false;
    said.textContent = replies ? count('console.canned_found', found.length) : found.map(({ title }) => title).join(', ');
    mark();
  }

  /** @param {Suggestion} one */
  function take(one) {
    const asked = token();
    if (!asked) return;
    const to = field.selectionStart;
    const from = to - asked[3].length - 1;
    field.setRangeText(one.text, from, to, 'end');
    close();
    field.focus();
    field.dispatchEvent(new Event('input', { bubbles: true }));
  }

  field.addEventListener('input', show);
  field.addEventListener('click', show);
  field.addEventListener('blur', () => setTimeout(() => { if (document.activeElement !== field && !popup.contains(document.activeElement)) close(); }));
  popup.addEventListener('pointerdown', (event) => event.preventDefault()); // the text field keeps the focus
  byId('canned-manage').addEventListener('click', () => { close(); manage(); });
  canned.addEventListener('change', () => { if (open()) show(); });
  // Runs before the composer's and the console's key handlers: while the list is open, it takes these keys.
  field.addEventListener('keydown', (event) => {
    if (!open() || event.isComposing) return;
    /** @type {Lookup<() => void>} */
    const acts = {
      ArrowDown: () => { at = (at + 1) % found.length; mark(); },
      ArrowUp: () => { at = (at - 1 + found.length) % found.length; mark(); },
      Enter: () => take(found[at]), Tab: () => take(found[at]),
      Escape: () => { dismissed = field.value; close(); },
    };
    const act = acts[event.key];
    if (!act || (event.key !== 'Escape' && !found.length) || (event.key === 'Enter' && event.shiftKey)) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    act();
  }, { capture: true });
  return { close };
}
