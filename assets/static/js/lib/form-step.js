// Submitting a form that stays on its page.
import { showProblem } from './dom.js';

/**
 * Runs one request at a time per form: a second click during a request is ignored.
 * @param {HTMLFormElement} form
 * @param {HTMLElement} button
 * @param {HTMLElement} problem
 * @param {() => Promise<string>} run resolves with the text of an error, '' for none
 */
export function step(form, button, problem, run) {
  let busy = false;
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    if (busy) return;
    busy = true;
    button.setAttribute('aria-disabled', 'true');
    showProblem(problem, '');
    try {
      const complaint = await run();
      if (complaint) showProblem(problem, complaint);
    } finally {
      busy = false;
      button.removeAttribute('aria-disabled');
    }
  });
}
