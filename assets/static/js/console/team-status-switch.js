// The switch by which an agent is away. The team, which is what visitors see, is away when all agents are, and outside opening hours.
import { byId } from '../lib/dom.js';
import { t } from '../lib/i18n.js';
import { clock, parse } from '../lib/format-time.js';
/** @import { Connection } from '../lib/connection.js' */
/** @import { Teammates } from './teammates.js' */

/**
 * Returns a function that shows the state that the server sent.
 * @param {Connection} connection
 * @param {Teammates} teammates
 * @param {(error: unknown) => void} failed
 */
export function teamSwitch(connection, teammates, failed) {
  const button = byId('team');
  /** @type {Pick<Protocol.Team, 'hours' | 'switched' | 'until'>} */
  let now = { hours: false, switched: false, until: null };
  let away = false;

  function show() {
    const until = parse(now.until);
    const several = teammates.team.length > 1;
    const closed = now.hours || away;
    button.setAttribute('aria-checked', String(!closed));
    byId('team-text').textContent = until ? t('console.team_until', { time: clock(until) }) : t(closed ? several ? 'console.me_away' : 'console.team_away' : several ? 'console.me_here' : 'console.team_here');
    // Outside the opening hours, which are a setting, the switch has no effect until they begin.
    button.title = until ? t('console.team_hours') : t(several ? 'console.me_about' : 'console.team_about');
  }

  button.addEventListener('click', async () => {
    try {
      await connection.request('set_away', { away: !away });
      away = !away;
      show();
    } catch (error) {
      failed(error);
    }
  });
  teammates.addEventListener('team', () => {
    away = teammates.mine?.switched ?? now.switched;
    show();
  });
  const told = (/** @type {Protocol.Team} */ team) => {
    now = team;
    away = teammates.mine?.switched ?? team.switched;
    show();
  };
  connection.on('team_status', told);
  show();
  return told;
}
