// Who answers a conversation: the menu in its header, and the filters for one's own and for unassigned conversations. In a team of one,
// none of that is shown.
import { byId, make } from '../lib/dom.js';
import { agentFace } from '../lib/face.js';
import { t } from '../lib/i18n.js';
import { errorText } from './thread-actions.js';
/** @import { Parts } from '../console.js' */

/**
 * @param {Parts} parts
 * @param {(text: string) => void} say shows an error
 * @param {() => void} openHandOver
 */
export function assigning({ openThread, connection, session, teammates }, say, openHandOver) {
  const box = byId('assignee');
  let drawn = '';
  let shown = ''; // the conversation and the assignee that the menu is about

  const isMe = (/** @type {Protocol.AgentReference | null | undefined} */ who) => Boolean(who) && who?.id === session.me?.id;

  /** @param {number | null} to */
  async function assign(to) {
    const { thread } = openThread;
    if (!thread) return;
    try {
      await connection.request('assign', { thread_id: thread.id, agent_id: to, from: thread.assignee?.id ?? 0 });
    } catch (error) {
      const { code = '' } = /** @type {Failure} */ (error);
      say(code === 'conflict' ? t('console.already_taken') : errorText(session, error, 'console.assign_failed'));
    }
  }

  function draw() {
    const assignee = openThread.thread?.assignee ?? null;
    const { team } = teammates;
    const now = JSON.stringify([openThread.current, assignee, team, session.me?.id]);
    if (now === drawn) return;
    drawn = now;
    const of = `${openThread.current} ${assignee?.id}`;
    if (of !== shown) box.open = false;
    shown = of;
    byId('assignee-face').replaceChildren(assignee ? agentFace(assignee) : make('span', { className: 'face unowned', attrs: { 'aria-hidden': 'true' } }, '+'));
    byId('assignee-text').textContent = isMe(assignee) ? t('console.assigned_me') : assignee?.name ?? t('console.assigned_none');
    const others = teammates.others.filter((who) => who.id !== assignee?.id);
    const choice = (/** @type {number | null} */ to, /** @type {string} */ text, /** @type {string} */ about = '') => make('button', { type: 'button', onclick: () => assign(to) },
      make('span', { attrs: { dir: 'auto' } }, text), about && make('span', { className: 'quiet' }, about));
    byId('assignee-list').replaceChildren(
      ...(session.me && !isMe(assignee) ? [choice(session.me.id, t('console.take'))] : []),
      ...others.map((who) => choice(who.id, t('console.give', { name: who.name }), teammates.word(who))),
      ...(others.length ? [make('button', { type: 'button', id: 'hand-over-open', onclick: openHandOver }, t('console.hand_over'))] : []),
      ...(assignee ? [choice(null, t('console.let_go'))] : []),
    );
  }
  teammates.addEventListener('team', () => {
    byId('desk').toggleAttribute('data-several', teammates.team.length > 1);
    draw();
  });
  return { draw, take: () => (isMe(openThread.thread?.assignee) || !session.me ? undefined : assign(session.me.id)) };
}
