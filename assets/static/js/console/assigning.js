// Who answers a conversation: the menu in its header, and the filters for one's own and for unassigned conversations. In a team of one,
// none of that is shown.
import { get } from '../lib/api.js';
import { byId, make } from '../lib/dom.js';
import { agentFace } from '../lib/face.js';
import { t } from '../lib/i18n.js';
import { errorText } from './thread-actions.js';
/** @import { Parts } from '../console.js' */

/**
 * @param {Parts} parts
 * @param {(text: string) => void} say shows an error
 */
export function assigning({ openThread, connection, session }, say) {
  const box = byId('assignee');
  /** The agents who may answer. @type {Protocol.AgentReference[]} */
  let team = [];
  let drawn = '';

  const isMe = (/** @type {Protocol.AgentReference | null | undefined} */ who) => Boolean(who) && who?.id === session.me?.id;

  async function load() {
    team = (await get('api/agents')).filter((who) => !who.disabled);
    byId('desk').toggleAttribute('data-several', team.length > 1);
    draw();
  }

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
    const now = JSON.stringify([openThread.current, assignee, team.length, session.me?.id]);
    if (now === drawn) return;
    drawn = now;
    box.open = false;
    byId('assignee-face').replaceChildren(assignee ? agentFace(assignee) : make('span', { className: 'face unowned', attrs: { 'aria-hidden': 'true' } }, '+'));
    byId('assignee-text').textContent = isMe(assignee) ? t('console.assigned_me') : assignee?.name ?? t('console.assigned_none');
    const others = team.filter((who) => !isMe(who) && who.id !== assignee?.id);
    const choice = (/** @type {number | null} */ to, /** @type {string} */ text) => make('button', { type: 'button', onclick: () => assign(to) }, make('span', { attrs: { dir: 'auto' } }, text));
    byId('assignee-list').replaceChildren(
      ...(session.me && !isMe(assignee) ? [choice(session.me.id, t('console.take'))] : []),
      ...others.map((who) => choice(who.id, t('console.give', { name: who.name }))),
      ...(assignee ? [choice(null, t('console.let_go'))] : []),
    );
  }
  return { load, draw, take: () => (isMe(openThread.thread?.assignee) || !session.me ? undefined : assign(session.me.id)) };
}
