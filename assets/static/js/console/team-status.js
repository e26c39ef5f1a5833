// The switch for the team's availability, which every visitor sees; all consoles show it, and any agent can change it.
import { byId } from '../lib/dom.js';
import { t } from '../lib/i18n.js';
import { clock, parse } from '../lib/time.js';

/**
 * @param {Connection} connection
 * @param {(error) => void} failed
 * @returns {(team: {away: boolean, switched?: boolean, until?: string}) => void} shows the state that the server sent
 */
export function teamSwitch(connection, failed) {
  const button = byId('team');
  let now = { away: false };

  function show() {
    const until = parse(now.until);
    button.setAttribute('aria-checked', String(!now.away));
    byId('team-text').textContent = !now.away ? t('console.team_here') : until ? t('console.team_until', { time: clock(until) }) : t('console.team_away');
    // Outside the opening hours, which are a setting, the switch has no effect until they begin.
    button.title = until ? t('console.team_hours') : t('console.team_about');
  }

  button.addEventListener('click', async () => {
    const away = !(now.switched ?? now.away);
    try {
      await connection.request('set_away', { away });
      now = { ...now, switched: away, away: away || Boolean(now.hours) };
      show();
    } catch (error) {
      failed(error);
    }
  });
  connection.on('team_status', (told) => { now = told; show(); });
  show();
  return (told) => {
    if (!told) return;
    now = told;
    show();
  };
}
