// Keyboard shortcuts for the agent's frequent actions; "?" lists them. Shortcuts of a single character can be switched off, for
// users of speech input (WCAG 2.1.4), and are inactive while the agent types.
import { byId, make } from '../lib/dom.js';
import { t } from '../lib/i18n.js';
/** @import { BrowserStorage } from '../lib/browser-storage.js' */
/** @import { Kept } from '../console.js' */

/** Shortcuts outside of text fields. Letters are listed in lower case and shown as on the keyboard. */
const SHEET = [
  ['w', 'console.key_waiting'], ['j', 'console.key_next'], ['k', 'console.key_previous'], ['/', 'console.key_search'],
  ['r', 'console.key_reply'], ['n', 'console.key_note'], ['e', 'console.key_finish'], ['t', 'console.key_take'], ['i', 'console.key_facts'],
  ['b', 'console.key_block'], ['x', 'console.key_export'], ['Delete', 'console.key_delete'], ['z', 'console.key_undo'], ['?', 'console.key_sheet'],
];
/** Keys that work while writing; they are handled elsewhere and only listed here. */
const WRITING = [['/', 'console.key_canned'], ['↑', 'console.key_edit'], ['Enter', 'console.key_send'], ['Shift + Enter', 'console.key_line'], ['Esc', 'console.key_leave']];

/**
 * @param {Record<string, () => void>} acts by key
 * @param {BrowserStorage<Kept>} store stores whether single-character shortcuts are on
 * @returns {() => void} opens the list
 */
export function keyboardShortcuts(acts, store) {
  const dialog = byId('keys-dialog');
  const box = byId('keys-on');
  const cap = (/** @type {string} */ key) => make('kbd', {}, key === 'Delete' ? t('console.cap_delete') : key.length === 1 ? key.toUpperCase() : key);
  const lines = (/** @type {string[][]} */ pairs) => pairs.map(([key, text]) => make('div', {}, make('dt', {}, ...key.split(' + ').flatMap((k, i) => (i ? [' + ', cap(k)] : [cap(k)]))), make('dd', {}, t(text))));
  byId('keys-list').replaceChildren(...lines(SHEET));
  byId('keys-writing').replaceChildren(...lines(WRITING));
  box.checked = store.get('keys') !== false;
  box.addEventListener('change', () => store.set('keys', box.checked));

  const open = () => { if (!dialog.open) dialog.showModal(); };
  document.addEventListener('keydown', (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.isComposing || !box.checked) return;
    // A field in a dialog that was just closed keeps the focus until the next frame, and must not suppress shortcuts.
    if (/** @type {Element} */ (event.target).closest?.('input, textarea, select, dialog, [contenteditable]')?.getClientRects().length) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const act = key === '?' ? open : acts[key];
    if (!act) return;
    event.preventDefault();
    act();
  });
  return open;
}
