// The page of the audit log: who did what, when and from where, for owners.
import { get } from './lib/api.js';
import { byId, make, showProblem } from './lib/dom.js';
import { has, t } from './lib/i18n.js';
import { parse, whole } from './lib/format-time.js';

const filters = byId('filters');
const file = byId('audit-file').href;
/** Counts the loads, because an earlier answer may arrive after a later one. */
let loads = 0;
/** @type {number | null} */
let next = null;

/** @param {string} key @param {string} otherwise */
const orText = (key, otherwise) => (has(key) ? t(key) : otherwise);

/** The filters that are set, as a query. */
function query() {
  const params = new URLSearchParams();
  for (const [name, value] of new FormData(filters)) if (value) params.set(name, String(value));
  return params;
}

/** Shows the newest entries or, with before, adds the next ones. @param {number} [before] */
async function load(before) {
  const params = query();
  byId('audit-file').href = `${file}?${params}`;
  if (before) params.set('before_id', String(before));
  const text = String(params);
  const mine = ++loads;
  let problem = '';
  try {
    const answer = await (text ? get(`../api/audit?${text}`) : get('../api/audit')); // as the page preloads it
    if (mine !== loads) return;
    const rows = answer.entries.map(row);
    if (before) byId('entries').append(...rows);
    else byId('entries').replaceChildren(...rows);
    next = answer.next;
  } catch (error) {
    if (mine !== loads) return;
    const { status, code } = /** @type {Failure} */ (error);
    if (status === 401) location.assign('../login');
    problem = orText(`people.failed_${code}`, t('people.failed'));
  }
  showProblem(byId('audit-problem'), problem);
  byId('audit-more').hidden = next === null;
  byId('audit-none').hidden = problem !== '' || byId('entries').children.length > 0;
}

/** @param {Protocol.AuditEntry} entry */
function row(entry) {
  const by = entry.agent_id === null ? orText(`audit.actor_${entry.actor || 'unknown'}`, entry.actor) : entry.actor;
  const object = [entry.about, entry.thread_id && (entry.display_name || t('audit.deleted_thread')), orText(`audit.detail_${entry.detail}`, entry.detail)];
  const refused = entry.outcome !== 'ok';
  return make('li', { className: 'agent entry', data: { entry: entry.id, outcome: entry.outcome } },
    make('div', { className: 'agent-who' },
      make('b', {}, orText(`audit.event_${entry.event}`, entry.event)),
      make('span', { className: 'quiet', dir: 'auto' }, object.filter(Boolean).join(' · ')),
      (refused || entry.times > 1) && make('span', { className: refused ? 'outcome' : 'quiet' }, outcome(entry))),
    make('div', { className: 'agent-who' }, make('span', { className: 'entry-by', dir: 'auto' }, by), make('span', { className: 'quiet', dir: 'auto' }, [entry.address, entry.browser].filter(Boolean).join(' · '))),
    time(entry.created_at));
}

/** How it ended, and how often within the hour. @param {Protocol.AuditEntry} entry */
function outcome({ outcome: ended, times, last_at: last }) {
  const often = times > 1 ? t('audit.times', { n: times, when: whole(parse(last) ?? new Date()) }) : '';
  return [ended !== 'ok' && orText(`audit.outcome_${ended}`, ended), often].filter(Boolean).join(' · ');
}

/** @param {string} at */
function time(at) {
  return make('time', { className: 'quiet', dateTime: at }, whole(parse(at) ?? new Date()));
}

/** Agents by name, as the filter offers them. */
async function offerAgents() {
  try {
    const agents = await get('../api/agents');
    byId('filter-agent').append(...agents.map((agent) => make('option', { value: String(agent.id) }, agent.name)));
  } catch {
    // the log can be read without this filter
  }
}

filters.addEventListener('change', () => load());
filters.addEventListener('submit', (event) => event.preventDefault());
byId('audit-more').addEventListener('click', () => load(next ?? undefined));

await Promise.all([load(), offerAgents()]);
/** @type {HTMLElement} */ (document.querySelector('.audit')).dataset.told = '';
