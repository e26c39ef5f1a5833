// The browsers in which the agent is signed in.
import { get, post } from '../lib/api.js';
import { byId, make, showProblem } from '../lib/dom.js';
import { moment } from '../lib/format-time.js';
import { t } from '../lib/i18n.js';

/**
 * Lists the sessions, with a button to end each.
 * @param {(thrown: unknown) => string} words the text for an error
 */
export async function showSessions(words) {
  const problem = byId('sessions-problem');
  try {
    const sessions = await get('../api/me/sessions');
    byId('sessions').replaceChildren(...sessions.map((session) => row(session, () => end({ id: session.id }, words))));
    byId('sessions-others').hidden = sessions.length < 2;
    byId('sessions-others').onclick = () => end({ others: true }, words);
    showProblem(problem, '');
  } catch (error) {
    showProblem(problem, words(error));
  }
}

/** @param {Protocol.Session} session @param {() => void} onEnd */
function row(session, onEnd) {
  const name = [session.browser, session.platform].filter(Boolean).join(', ') || t('people.session_unknown');
  const seen = session.current ? t('people.session_current') : t('people.session_seen', { when: moment(session.seen_at) });
  return make('li', { data: { session: session.current ? 'current' : 'other' } },
    make('div', {},
      make('b', {}, name),
      make('span', { className: 'quiet' }, [seen, session.address, t('people.session_since', { when: moment(session.started_at) })].filter(Boolean).join(' · '))),
    !session.current && make('button', { type: 'button', className: 'button plain', attrs: { 'aria-label': `${t('people.session_end')}: ${name}` }, onclick: onEnd }, t('people.session_end')));
}

/** @param {{id: string} | {others: true}} which @param {(thrown: unknown) => string} words */
async function end(which, words) {
  let problem = '';
  try {
    await post('../api/me/sessions/end', which);
  } catch (error) {
    problem = words(error);
  }
  await showSessions(words);
  if (problem) showProblem(byId('sessions-problem'), problem);
}
