// Answering together: who else looks at the open conversation or is typing in it, and the question before a second answer is sent.
import { byId, icon, make } from '../lib/dom.js';
import { agentFace } from '../lib/face.js';
import { t } from '../lib/i18n.js';
import { confirm } from './confirm-dialog.js';
/** @import { OpenThread } from './open-thread.js' */
/** @import { Teammates } from './teammates.js' */

const FACES = 3;

/** @param {OpenThread} openThread @param {Teammates} teammates @param {() => number | undefined} me the id of the signed-in agent */
export function together(openThread, teammates, me) {
  const line = byId('together');
  let drawn = '';
  let answered = ''; // who has answered since the composer has a text
  let accepted = ''; // what the agent was asked and said yes to

  function draw() {
    const { current } = openThread;
    const typists = current ? teammates.typing(current) : [];
    const viewers = current ? teammates.viewing(current).filter(({ id }) => !typists.some(({ agent }) => agent.id === id)) : [];
    const now = JSON.stringify([typists, viewers]);
    if (now === drawn) return;
    drawn = now;
    line.hidden = !typists.length && !viewers.length;
    const [first] = typists;
    const names = viewers.map(({ name }) => name).join(', ');
    const text = !first ? t('console.viewing', { name: names }) : t(first.note ? 'console.writing_note' : 'console.writing_answer', { name: first.agent.name });
    line.classList.toggle('lively', Boolean(first));
    line.replaceChildren(...[...typists.map(({ agent }) => agent), ...viewers].slice(0, FACES).map(agentFace),
      ...(first ? [icon(first.note ? 'note' : 'pencil')] : []), make('span', { attrs: { dir: 'auto' } }, text));
  }

  /** A message arrived. @param {Protocol.Message} message */
  function received({ thread_id: thread, sender_type: from, agent }) {
    if (agent) teammates.wrote(thread, agent.id);
    if (thread !== openThread.current || from === 'visitor' || from === 'system' || agent?.id === me() || !openThread.composer.value.trim()) return;
    answered = agent?.name ?? t('console.team_name');
  }

  /** Asks before an answer is sent while another agent is typing one, or has sent one meanwhile; returns whether it asks. */
  function asks() {
    const { current } = openThread;
    const typist = teammates.typing(current ?? '').find(({ note }) => !note);
    const reason = typist ? `typing ${current} ${typist.agent.id}` : answered && `answered ${current} ${answered}`;
    if (!reason || reason === accepted) {
      if (!reason) accepted = '';
      answered = '';
      return false;
    }
    confirm({
      title: typist ? t('console.also_writing', { name: typist.agent.name }) : t('console.also_answered', { name: answered }),
      text: t('console.also_text'), yes: t('console.send_anyway'), grave: false, problem: () => '',
      act: async () => { accepted = reason; },
    }).then((yes) => {
      openThread.composer.focus();
      if (yes && openThread.current === current) byId('send').click();
    });
    return true;
  }

  /** Keeps the composer from sending while the agent is asked. @param {Event} event */
  function hold(event) {
    const nothing = byId('send').getAttribute('aria-disabled') === 'true';
    if (byId('composer').dataset.mode !== 'reply' || nothing || !asks()) return;
    event.preventDefault();
    event.stopImmediatePropagation();
  }

  // Both run before the composer's own handlers.
  byId('composer').addEventListener('submit', hold, { capture: true });
  byId('text').addEventListener('keydown', (event) => {
    const sends = event.key === 'Enter' && !event.shiftKey && !event.isComposing && event.keyCode !== 229; // as in Composer
    if (sends && byId('canned').hidden) hold(event);
  }, { capture: true });
  openThread.addEventListener('turn', () => {
    answered = accepted = '';
    draw();
  });
  byId('text').addEventListener('input', () => { if (!openThread.composer.value.trim()) answered = ''; });
  teammates.addEventListener('thread', ({ detail }) => { if (detail === openThread.current) draw(); });
  return { received };
}
