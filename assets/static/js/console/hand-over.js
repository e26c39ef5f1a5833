// The dialog for handing a conversation over to another agent with a note.
import { byId, make, showProblem } from '../lib/dom.js';
import { t } from '../lib/i18n.js';
import { errorText } from './thread-actions.js';
/** @import { Parts } from '../console.js' */

/** Returns the function that opens the dialog. @param {Parts} parts */
export function handOver({ openThread, connection, session, teammates }) {
  const dialog = byId('hand-over');
  const to = byId('hand-over-to');
  const note = byId('hand-over-note');
  const button = byId('hand-over-yes');
  const problem = byId('hand-over-problem');
  let id = '';
  let from = 0;

  byId('hand-over-form').addEventListener('submit', async (event) => {
    event.preventDefault();
    button.disabled = true;
    showProblem(problem, '');
    try {
      await connection.request('assign', { thread_id: id, agent_id: Number(to.value), from, note: note.value.trim() });
      dialog.close();
    } catch (error) {
      const { code = '' } = /** @type {Failure} */ (error);
      showProblem(problem, code === 'conflict' ? t('console.already_taken') : errorText(session, error, 'console.assign_failed'));
    } finally {
      button.disabled = false;
    }
  });
  byId('hand-over-no').addEventListener('click', () => dialog.close());

  return () => {
    const { thread } = openThread;
    if (!thread) return;
    if (thread.id !== id) note.value = '';
    id = thread.id;
    from = thread.assignee?.id ?? 0;
    to.replaceChildren(...teammates.others.filter((who) => who.id !== from).map((who) => make('option', { value: String(who.id) }, `${who.name} (${teammates.word(who)})`)));
    showProblem(problem, '');
    dialog.showModal();
    note.focus();
  };
}
