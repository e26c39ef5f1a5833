// One dialog for what cannot be taken back.
import { byId, showProblem } from '../lib/dom.js';

/**
 * Asks, and runs `act` when the answer is yes; the dialog stays open, with the
 * reason, when act throws. Resolves with whether it was done.
 * @param {{title: string, text: string, yes: string, act: () => Promise<void>, problem: (error) => string}} o
 */
export function confirm({ title, text, yes, act, problem }) {
  const dialog = byId('confirm');
  const button = byId('confirm-yes');
  byId('confirm-title').textContent = title;
  byId('confirm-text').textContent = text;
  button.textContent = yes;
  showProblem(byId('confirm-problem'), '');
  dialog.returnValue = '';
  dialog.showModal();
  byId('confirm-no').focus();
  return new Promise((resolve) => {
    button.onclick = async () => {
      button.disabled = true;
      try {
        await act();
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
