// The diagnostics page: charts of the last hour, health checks, and repairs.
import { Chart } from './diagnostics/chart.js';
import { get, post } from './lib/api.js';
import { byId, make, showProblem } from './lib/dom.js';
import { has, lang, t } from './lib/i18n.js';
import { ago, parse, span } from './lib/format-time.js';

const every = 5_000;
/** @typedef {Protocol.Answers['GET /api/diagnostics']} Diagnostics */

const order = ['database', 'redis', 'telegram', 'cloudinary', 'memory', 'disk', 'clock', 'origin'];

const number = new Intl.NumberFormat(lang, { maximumFractionDigits: 1 });
const whole = new Intl.NumberFormat(lang, { maximumFractionDigits: 0 });
const orNone = (/** @type {(v: number) => string} */ say) => (/** @type {number | null} */ v) => (v === null ? t('diagnostics.none') : say(v));
const milliseconds = (/** @type {number} */ v) => t('diagnostics.ms', { n: number.format(v) });
const bytes = (/** @type {number} */ v) => (v >= 2 ** 30 ? t('diagnostics.gb', { n: number.format(v / 2 ** 30) }) : t('diagnostics.mb', { n: number.format(v / 2 ** 20) }));

const charts = {
  messages: new Chart(t('diagnostics.messages'), orNone((v) => number.format(v))),
  visitors: new Chart(t('diagnostics.visitors'), orNone((v) => whole.format(v))),
  latency_ms: new Chart(t('diagnostics.latency'), orNone(milliseconds)),
  memory: new Chart(t('diagnostics.memory_chart'), orNone(bytes)),
  waiting: new Chart(t('diagnostics.waiting'), orNone((v) => whole.format(v))),
};
byId('charts').append(...Object.values(charts).map((c) => c.node));

async function refresh(fresh = false) {
  try {
    show(await get(`../api/diagnostics${fresh ? '?fresh=1' : ''}`));
    showProblem(byId('trouble'), '');
  } catch (e) {
    if (/** @type {Failure} */ (e).status === 401) location.assign('../login');
    else showProblem(byId('trouble'), t('diagnostics.no_answer'));
  }
  /** @type {HTMLElement} */ (document.querySelector('.gauges')).dataset.told = '';
}

/** @param {Diagnostics} found */
function show(found) {
  byId('build').textContent = t('diagnostics.build', { version: found.version, time: span(Math.floor(found.uptime_seconds / 60)) });
  const points = found.samples.map((s) => ({ ...s, at: new Date(s.at) }));
  for (const name of /** @type {(keyof typeof charts)[]} */ (Object.keys(charts))) charts[name].show(points.map((s) => ({ at: s.at, value: s[name] })));
  charts.waiting.node.hidden = found.checks.telegram.status === 'off';
  byId('checks').replaceChildren(...order.filter((name) => name in found.checks && (name !== 'redis' || found.checks.redis.status !== 'off')).map((name) => checkRow(name, found.checks[name])));
  showRepairs(found.repairs);
  if (document.activeElement !== byId('level')) byId('level').value = found.log_level;
}

/** Why a check failed, in the page's language; the server's own text if there is no translation. @param {Protocol.Check} check */
function why({ reason, detail, last_contact: last, chat_id: number, origin, host }) {
  const key = `diagnostics.reason_${reason}`;
  const since = parse(last);
  return reason && has(key) ? t(key, { when: since ? ago(since) : '', number, origin, host }) : detail;
}

/** @param {string} name @param {Protocol.Check} check */
function checkRow(name, check) {
  const lastGood = parse(check.last_ok);
  const state = t(`diagnostics.state_${check.status}`);
  const facts = [why(check), check.used_bytes && t('diagnostics.used', { n: bytes(check.used_bytes) }),
    check.free_bytes && t('diagnostics.free', { n: bytes(check.free_bytes) }),
    check.waiting && t('diagnostics.wait', { n: whole.format(check.waiting) })].filter(Boolean).join(' · ');
  const when = check.status === 'off' ? '' : check.status === 'ok'
    ? milliseconds(check.duration_ms)
    : lastGood ? t('diagnostics.last_good', { when: ago(lastGood) }) : t('diagnostics.never_good');
  return make('li', { data: { status: check.status } },
    make('span', { className: 'state', attrs: { 'aria-hidden': 'true' } }),
    make('p', {}, make('strong', {}, t(`diagnostics.check_${name}`)), ' ', make('span', { className: 'detail' }, [state, facts].filter(Boolean).join(' · '))),
    make('p', { className: 'when' }, when));
}

/** Rows are made only once, because a repair may be running or show its result. @param {string[]} names */
function showRepairs(names) {
  const listed = byId('repairs');
  if (listed.childElementCount === names.length) return;
  listed.replaceChildren(...names.map((name) => {
    const outcome = make('p', { className: 'outcome', hidden: true, attrs: { role: 'status' } });
    const button = make('button', { type: 'button', className: 'button plain' }, t(`diagnostics.do_${name}`));
    button.addEventListener('click', () => repair(name, button, outcome));
    return make('li', { data: { repair: name } }, make('p', {}, t(`diagnostics.about_${name}`)), button, outcome);
  }));
}

/** @param {string} name @param {HTMLButtonElement} button @param {HTMLElement} outcome */
async function repair(name, button, outcome) {
  button.disabled = true;
  outcome.hidden = true;
  try {
    const { result, job } = await post('../api/diagnostics/repair', { name });
    const values = Object.fromEntries(Object.entries(result).map(([key, v]) => [key, key.endsWith('_bytes') ? bytes(v) : whole.format(v)]));
    outcome.textContent = job ? t('diagnostics.continues') : result.whole ? t('diagnostics.compact_whole') : t(`diagnostics.done_${name}`, values);
    outcome.classList.remove('failed');
  } catch (e) {
    outcome.textContent = /** @type {Failure} */ (e).message || t('diagnostics.no_answer');
    outcome.classList.add('failed');
  }
  outcome.hidden = false;
  button.disabled = false;
  await refresh(true);
}

const check = byId('check');
check.addEventListener('click', async () => {
  check.disabled = true;
  await refresh(true);
  check.disabled = false;
});

byId('level').addEventListener('change', async () => {
  try {
    const { log_level: level } = await post('../api/diagnostics/log-level', { level: byId('level').value });
    byId('level-said').textContent = t('diagnostics.level_set', { level });
  } catch {
    byId('level-said').textContent = t('diagnostics.no_answer');
  }
});

/** Repairs and the log level are for owners. */
async function showOwnersPart() {
  const { role } = await get('../api/me');
  for (const node of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll('[data-owner]'))) node.hidden = role !== 'owner';
}

await Promise.all([refresh(), showOwnersPart().catch(() => { /* the server refuses others anyway */ })]);
setInterval(() => { if (!document.hidden) refresh(); }, every);
