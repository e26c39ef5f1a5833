// Everything an agent does all day is one key, and "?" shows which. Single letters can be switched off, for whoever speaks to
// their computer (WCAG 2.1.4); they do nothing while one writes.
import { byId, make } from '../lib/dom.js';
import { t } from '../lib/i18n.js';

/** A key that works where nobody writes; keys of one letter are meant as they are on the keyboard's caps. */
const SHEET = [
  ['w', 'console.key_waiting'], ['j', 'console.key_next'], ['k', 'console.key_previous'], ['/', 'console.key_search'],
  ['r', 'console.key_reply'], ['n', 'console.key_note'], ['e', 'console.key_finish'], ['i', 'console.key_facts'],
  ['b', 'console.key_block'], ['x', 'console.key_export'], ['Delete', 'console.key_delete'], ['z', 'console.key_undo'], ['?', 'console.key_sheet'],
];
/** Keys that work while writing, told by the sheet alone. */
const WRITING = [['/', 'console.key_canned'], ['↑', 'console.key_edit'], ['Enter', 'console.key_send'], ['Shift + Enter', 'console.key_line'], ['Esc', 'console.key_leave']];

/**
 * @param {Record<string, () => void>} acts by key
 * @param {Store} store keeps whether keys are on
 * @returns {() => void} opens the sheet
 */
export function keys(acts, store) {
  const dialog = byId('keys-dialog');
  const box = byId('keys-on');
  const cap = (key) => make('kbd', {}, key === 'Delete' ? t('console.cap_delete') : key.length === 1 ? key.toUpperCase() : key);
  const lines = (pairs) => pairs.map(([key, text]) => make('div', {}, make('dt', {}, ...key.split(' + ').flatMap((k, i) => (i ? [' + ', cap(k)] : [cap(k)]))), make('dd', {}, t(text))));
  byId('keys-list').replaceChildren(...lines(SHEET));
  byId('keys-writing').replaceChildren(...lines(WRITING));
  box.checked = store.get('keys') !== false;
  box.addEventListener('change', () => store.set('keys', box.checked));

  const open = () => { if (!dialog.open) dialog.showModal(); };
  document.addEventListener('keydown', (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.isComposing || !box.checked) return;
    // A box in a sheet that has just closed keeps the focus until the next frame; nobody writes there.
    if (event.target.closest?.('input, textarea, select, dialog, [contenteditable]')?.getClientRects().length) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const act = key === '?' ? open : acts[key];
    if (!act) return;
    event.preventDefault();
    act();
  });
  return open;
}
