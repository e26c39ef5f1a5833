// One dialog for what cannot be taken back.
import { byId, showProblem } from '../lib/dom.js';

/**
 * Asks, and runs `act` when the answer is yes; the dialog stays open, with the
 * reason, when act throws. Resolves with whether it was done.
 * With `option` there is a box to tick, and act hears whether it is.
 * @param {{title: string, text: string, yes: string, option?: string, act: (ticked: boolean) => Promise<void>, problem: (error) => string}} o
 */
export function confirm({ title, text, yes, option = '', act, problem }) {
  const dialog = byId('confirm');
  const button = byId('confirm-yes');
  byId('confirm-title').textContent = title;
  byId('confirm-text').textContent = text;
  button.textContent = yes;
  byId('confirm-option').hidden = !option;
  byId('confirm-option').lastElementChild.textContent = option;
  byId('confirm-check').checked = false;
  showProblem(byId('confirm-problem'), '');
  dialog.returnValue = '';
  dialog.showModal();
  byId('confirm-no').focus();
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
