// The text that says when an answer may be expected. assets/team_status.go makes the same for the page's first paint, but without the
// time of opening, which depends on the visitor's time zone.
import { count, lang, t } from '../lib/i18n.js';
import { clock, parse } from '../lib/format-time.js';

const DAY = 86_400_000;
const weekday = new Intl.DateTimeFormat(lang, { weekday: 'long' });

// Turkish case endings: "09.00'a", "18.00'e", "20.00'ye" depend on the last spoken word of the time.
const UNITS = ['', 'e', 'ye', 'e', 'e', 'e', 'ya', 'ye', 'e', 'a'];
const TENS = ['a', 'a', 'ye', 'a', 'a', 'ye'];
const ending = (/** @type {Date} */ at) => {
  const n = at.getMinutes() || at.getHours();
  return UNITS[n % 10] || TENS[n / 10];
};

/** "09:00'a", "yarın 09:00'a", "Pazartesi 09:00'a"; "9:00 AM", "tomorrow 9:00 AM". @param {Date} at */
function opening(at) {
  const midnight = new Date().setHours(0, 0, 0, 0);
  const days = Math.floor((+at - midnight) / DAY);
  const day = days < 1 ? '' : days < 2 ? t('common.tomorrow') : weekday.format(at);
  return [day, lang === 'tr' ? `${clock(at)}’${ending(at)}` : clock(at)].filter(Boolean).join(' ');
}

/** @param {Pick<Protocol.Team, 'away' | 'until' | 'typical_reply_seconds'>} team */
export function teamLine(team) {
  const until = parse(team.until);
  if (team.away) return until && +until > Date.now() ? t('visitor.closed_until', { time: opening(until) }) : t('visitor.state_away');
  const seconds = team.typical_reply_seconds;
  if (seconds === null || seconds === undefined) return '';
  const minutes = Math.max(1, Math.ceil(seconds / 60));
  const rounded = minutes <= 10 ? minutes : Math.ceil(minutes / 5) * 5;
  if (rounded < 60) return count('visitor.usual_minutes', rounded);
  const hours = Math.ceil(minutes / 60);
  return hours < 24 ? count('visitor.usual_hours', hours) : t('visitor.usual_day');
}
