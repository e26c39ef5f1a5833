// The page of the settings that owners change while the server runs.
import { get, save } from './settings/requests.js';
import { byId, icon, make, showProblem } from './lib/dom.js';
import { step } from './lib/form-step.js';
import { t } from './lib/i18n.js';

/** @typedef {'text' | 'long' | 'lines' | 'color' | 'secret' | 'locale' | 'level'} Kind */
/** @typedef {[name: string, kind: Kind]} Field */

/** The sections, each with the settings that are saved together. @type {[string, Field[]][]} */
const SECTIONS = [
  ['shop', [['BRAND_NAME', 'text'], ['AGENT_NAME', 'text'], ['BRAND_COLOR', 'color'], ['BRAND_GREETING', 'long'], ['BRAND_LOGO', 'text'], ['AGENT_AVATAR', 'text'], ['DEFAULT_LOCALE', 'locale']]],
  ['hours', [['OPENING_HOURS', 'text']]],
  ['sites', [['CORS_ORIGINS', 'lines'], ['IDENTITY_SECRET', 'secret']]],
  ['data', [['MESSAGE_RETENTION_DAYS', 'text']]],
  ['limits', [['RATE_LIMIT_MESSAGE', 'text'], ['RATE_LIMIT_UPLOAD', 'text'], ['RATE_LIMIT_LOGIN', 'text']]],
  ['running', [['LOG_LEVEL', 'level'], ['METRICS_TOKEN', 'secret']]],
];
const CHOICES = { locale: ['tr', 'en'], level: ['debug', 'info', 'warn', 'error'] };
const COLOR = /^#[0-9a-f]{6}$/i;

/** @typedef {HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement} Input */

/** The shown settings: the input, the place of its error, and the value when it was last loaded. @type {Map<string, {input: Input, problem: HTMLElement, was: string}>} */
const fields = new Map();

/** The text for an error of a request. @param {unknown} thrown */
function words(thrown) {
  const { status } = /** @type {Failure} */ (thrown);
  if (status === 401) location.assign('../login');
  return t(status === 403 ? 'settings.owners' : status === 429 ? 'settings.failed_rate_limit_exceeded' : 'settings.failed');
}

/** @param {string} name @param {Kind} kind @param {Protocol.Setting} now */
function field(name, kind, now) {
  const key = name.toLowerCase();
  const id = `setting-${key.replaceAll('_', '-')}`;
  const input = inputOf(kind, id, now);
  input.name = name;
  input.disabled = now.locked;
  input.setAttribute('aria-describedby', `${id}-hint ${id}-problem`);
  const problem = make('p', { className: 'problem', id: `${id}-problem`, hidden: true, attrs: { role: 'alert' } });
  fields.set(name, { input, problem, was: now.value ?? '' });
  return make('div', { className: 'field' },
    make('label', { htmlFor: id }, t(`settings.field_${key}`)),
    around(kind, input),
    now.locked ? make('p', { className: 'lock', id: `${id}-hint` }, icon('lock'), make('span', {}, t('settings.locked', { name })))
      : make('p', { className: 'hint', id: `${id}-hint` }, kind === 'secret' && now.set ? t('settings.secret_set') : t(`settings.field_${key}_hint`)),
    problem);
}

/** @param {Kind} kind @param {string} id @param {Protocol.Setting} now @returns {Input} */
function inputOf(kind, id, now) {
  const value = shown(kind, now.value ?? '');
  if (kind === 'long' || kind === 'lines') return make('textarea', { className: 'input', id, value, rows: 3, spellcheck: kind === 'long' });
  if (kind === 'locale' || kind === 'level') {
    return make('select', { className: 'input', id }, ...CHOICES[kind].map((one) => make('option', { value: one, selected: one === value }, t(`settings.choice_${kind}_${one}`))));
  }
  return make('input', { className: 'input', id, value, type: kind === 'secret' ? 'password' : 'text', placeholder: kind === 'secret' && now.set ? '••••••••' : '', autocomplete: 'off', spellcheck: false });
}

/** The input with what belongs to it. @param {Kind} kind @param {Input} input */
function around(kind, input) {
  if (kind === 'color') {
    const picker = make('input', { type: 'color', className: 'input', disabled: input.disabled, value: COLOR.test(input.value) ? input.value : '#0b6b61', attrs: { 'aria-label': t('settings.pick_color') } });
    picker.addEventListener('input', () => { input.value = picker.value; });
    input.addEventListener('input', () => { if (COLOR.test(input.value)) picker.value = input.value; });
    return make('div', { className: 'with-swatch' }, picker, input);
  }
  if (kind === 'secret' && !input.disabled) {
    const fresh = make('button', { type: 'button', className: 'button plain' }, t('settings.make_secret'));
    fresh.addEventListener('click', () => {
      input.value = [...crypto.getRandomValues(new Uint8Array(32))].map((byte) => byte.toString(16).padStart(2, '0')).join('');
      /** @type {HTMLInputElement} */ (input).type = 'text'; // so that it can be copied to the site
      input.focus();
    });
    return make('div', { className: 'with-button' }, input, fresh);
  }
  return input;
}

/** @param {Input} input */
const entered = (input) => (input instanceof HTMLTextAreaElement && input.name === 'CORS_ORIGINS' ? input.value.split(/[\s,]+/).filter(Boolean).join(',') : input.value.trim());

/** @param {string} name @param {Field[]} list @param {Record<string, Protocol.Setting>} all */
function section(name, list, all) {
  const problem = make('p', { className: 'problem', hidden: true, attrs: { role: 'alert' } });
  const said = make('span', { className: 'quiet', attrs: { role: 'status' } });
  const button = make('button', { className: 'button' }, t('settings.save'));
  const form = make('form', { className: 'panel', noValidate: true, id: `form-${name}` },
    ...list.map(([setting, kind]) => field(setting, kind, all[setting])), problem, make('div', { className: 'actions' }, said, button));
  button.hidden = list.every(([setting]) => all[setting].locked);
  step(form, button, problem, async () => {
    said.textContent = '';
    /** @type {Record<string, string | null>} */
    const changes = {};
    for (const [setting] of list) {
      const { input, was } = /** @type {{input: Input, was: string}} */ (fields.get(setting));
      const value = entered(input);
      if (!input.disabled && value !== was) changes[setting] = value || null;
    }
    if (!Object.keys(changes).length) {
      said.textContent = t('settings.nothing');
      return '';
    }
    try {
      const wrong = await save(changes);
      show(list, wrong);
      if (Object.keys(wrong).length) return t('settings.wrong');
      refill(list, await get());
      said.textContent = t('settings.saved');
      return '';
    } catch (error) {
      return words(error);
    }
  });
  return make('section', { attrs: { 'aria-labelledby': `title-${name}` } }, make('h2', { id: `title-${name}` }, t(`settings.section_${name}`)), form);
}

/** Shows which values are wrong, at their fields. @param {Field[]} list @param {Record<string, string>} wrong */
function show(list, wrong) {
  let first = true;
  for (const [setting] of list) {
    const { input, problem } = /** @type {{input: Input, problem: HTMLElement}} */ (fields.get(setting));
    const text = wrong[setting] ?? '';
    showProblem(problem, text);
    input.setAttribute('aria-invalid', String(Boolean(text)));
    if (text && first) {
      input.focus();
      first = false;
    }
  }
}

/** Shows the settings as they are now. @param {Field[]} list @param {Record<string, Protocol.Setting>} all */
function refill(list, all) {
  for (const [setting, kind] of list) {
    const one = /** @type {{input: Input, was: string}} */ (fields.get(setting));
    one.was = all[setting].value ?? '';
    if (kind !== 'secret' || one.input.getAttribute('type') === 'password') one.input.value = shown(kind, one.was); // a new secret may still be copied
    if (kind === 'secret') one.input.setAttribute('placeholder', all[setting].set ? '••••••••' : '');
  }
}

/** A value as its input shows it. @param {Kind} kind @param {string} value */
const shown = (kind, value) => (kind === 'lines' ? value.split(',').map((one) => one.trim()).join('\n') : value);

/** The settings that only the environment sets. @param {Record<string, Protocol.Setting>} all */
function others(all) {
  const rest = Object.entries(all).filter(([name]) => !fields.has(name));
  byId('others-list').replaceChildren(...rest.flatMap(([name, { value, set, source, secret }]) => [
    make('dt', {}, name),
    make('dd', { attrs: { dir: 'auto' } }, [secret ? (set ? '••••' : '') : value ?? '', `(${t(`settings.from_${source}`)})`].filter(Boolean).join(' ')),
  ]));
  byId('others').hidden = false;
}

/** @param {Record<string, Protocol.Setting>} all */
function draw(all) {
  byId('sections').replaceChildren(...SECTIONS.map(([name, list]) => section(name, list, all)));
  others(all);
}

await get().then(draw, (error) => showProblem(byId('settings-problem'), words(error)));
/** @type {HTMLElement} */ (document.querySelector('.people')).dataset.told = '';
