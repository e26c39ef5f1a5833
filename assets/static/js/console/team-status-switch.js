// The switch for the team's availability, which every visitor sees; all consoles show it, and any agent can change it.
import { byId } from '../lib/dom.js';
import { t } from '../lib/i18n.js';
import { clock, parse } from '../lib/format-time.js';
/** @import { Connection } from '../lib/connection.js' */

/**
 * Returns a function that shows the state that the server sent.
 * @param {Connection} connection
 * @param {(error: unknown) => void} failed
 */
export function teamSwitch(connection, failed) {
  const button = byId('team');
  /** @type {Pick<Protocol.Team, 'away' | 'hours' | 'switched' | 'until'>} */
  let now = { away: false, hours: false, switched: false, until: null };

  function show() {
    const until = parse(now.until);
    button.setAttribute('aria-checked', String(!now.away));
    byId('team-text').textContent = !now.away ? t('console.team_here') : until ? t('console.team_until', { time: clock(until) }) : t('console.team_away');
    // Outside the opening hours, which are a setting, the switch has no effect until they begin.
    button.title = until ? t('console.team_hours') : t('console.team_about');
  }

  button.addEventListener('click', async () => {
    const away = !now.switched;
    try {
      await connection.request('set_away', { away });
      now = { ...now, switched: away, away: away || now.hours };
      show();
    } catch (error) {
      failed(error);
    }
  });
  const told = (/** @type {Protocol.Team} */ team) => {
    now = team;
    show();
  };
  connection.on('team_status', told);
  show();
  return told;
}
