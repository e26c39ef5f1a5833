// The confirmation dialog.
import { byId, showProblem } from '../lib/dom.js';
import { t } from '../lib/i18n.js';

/** Ignores case and accents: "sil" matches "SİL". @param {string} text */
const fold = (text) => text.trim().normalize('NFD').replace(/\p{M}/gu, '').toUpperCase();

/**
 * Asks, and runs `act` if the answer is yes; if act throws, the dialog shows the error and stays open. Resolves with whether it was done.
 * With `option` there is a checkbox, whose state is passed to act. With `word`, that word has to be typed first.
 * `grave`: it cannot be undone.
 * @param {{title: string, text: string, yes: string, option?: string, word?: string, grave?: boolean, act: (ticked: boolean) => Promise<unknown>, problem: (error: unknown) => string}} o
 */
export function confirm({ title, text, yes, option = '', word = '', grave = true, act, problem }) {
  const dialog = byId('confirm');
  const button = byId('confirm-yes');
  const field = byId('confirm-typed');
  byId('confirm-word').hidden = !word;
  byId('confirm-ask').textContent = word && t('console.confirm_word', { word });
  field.value = '';
  const typed = () => { button.disabled = fold(field.value) !== fold(word); };
  field.oninput = typed;
  field.onkeydown = (event) => {
    if (event.key !== 'Enter') return;
    event.preventDefault(); // otherwise Enter would press the form's first button, which is "no"
    button.click();
  };
  typed();
  byId('confirm-title').textContent = title;
  byId('confirm-text').textContent = text;
  button.textContent = yes;
  button.classList.toggle('grave', grave);
  byId('confirm-option').hidden = !option;
  /** @type {Element} */ (byId('confirm-option').lastElementChild).textContent = option;
  byId('confirm-check').checked = false;
  showProblem(byId('confirm-problem'), '');
  dialog.returnValue = '';
  dialog.showModal();
  (word ? field : byId('confirm-no')).focus();
  return new Promise((resolve) => {
    button.onclick = async () => {
      button.disabled = true;
      try {
        await act(byId('confirm-check').checked);
        dialog.close('yes');
      } catch (error) {
        showProblem(byId('confirm-problem'), problem(error));
      } finally {
        button.disabled = false;
      }
    };
    dialog.onclose = () => resolve(dialog.returnValue === 'yes');
  });
}
