// The page of the team and of the agent's own account. Only owners may change others.
import { get, post } from './lib/api.js';
import { byId, make, showProblem } from './lib/dom.js';
import { agentFace } from './lib/face.js';
import { step } from './lib/form-step.js';
import { has, lang, t } from './lib/i18n.js';
import { ownPicture } from './people/own-picture.js';
import { parse, whole } from './lib/format-time.js';
import { copy } from './people/copy.js';
import { addPasskeys, showPasskeys } from './people/passkeys.js';
import { showSessions } from './people/sessions.js';
import { offerTelegram } from './people/telegram-account.js';

const PASSWORD = 12; // characters
const EMAIL = /^[^\s@]+@[^\s@]+$/;

/** @type {Protocol.Agent} */
let me;

/** The text for an error. @param {unknown} thrown */
function words(thrown) {
  const { status, code } = /** @type {Failure} */ (thrown);
  if (status === 401) location.assign('../login');
  const key = `people.failed_${code}`;
  return has(key) ? t(key) : t('people.failed');
}

// --- the team ------------------------------------------------------------------

/** Loads the page's data; returns the account, or null if that failed. */
async function load() {
  try {
    const [agents, account] = await Promise.all([get('../api/agents'), get('../api/me')]);
    me = account;
    drawTeam(agents);
    showProblem(byId('people-problem'), '');
    return me;
  } catch (error) {
    showProblem(byId('people-problem'), words(error));
    return null;
  }
}

/** @param {Protocol.Agent[]} agents */
function drawTeam(agents) {
  const owner = me.role === 'owner';
  byId('invite').hidden = !owner;
  byId('audit-link').hidden = !owner;
  const order = (/** @type {Protocol.Agent} */ a) => Number(a.disabled);
  byId('agents').replaceChildren(...agents.sort((a, b) => order(a) - order(b)).map((agent) => row(agent, owner)));
}

/** @param {Protocol.Agent} agent @param {boolean} owner whether the reader may change it */
function row(agent, owner) {
  const self = agent.id === me.id;
  const state = agent.disabled ? t('people.disabled') : agent.online ? t('people.online') : '';
  const about = [self && t('people.you'), agent.email, state].filter(Boolean).join(' · ');
  return make('li', { className: 'agent', data: { agent: agent.id, state: agent.disabled ? 'disabled' : agent.online ? 'online' : '' } },
    agentFace(agent),
    make('div', { className: 'agent-who' }, make('b', { dir: 'auto' }, agent.name), make('span', { className: 'quiet', dir: 'auto' }, about)),
    make('div', { className: 'agent-acts' },
      owner && !self && !agent.disabled && make('button', {
        type: 'button', className: 'button plain', attrs: { 'aria-label': t('people.password_link_for', { name: agent.name }) },
        onclick: () => linkPassword(agent),
      }, t('people.password_link')),
      owner && !agent.disabled ? roleChoice(agent) : make('span', { className: 'quiet' }, t(`people.role_${agent.role}`)),
      owner && !self && make('button', {
        type: 'button', className: 'button plain', attrs: { 'aria-label': `${t(agent.disabled ? 'people.enable' : 'people.disable')}: ${agent.name}` },
        onclick: () => change({ id: agent.id, disabled: !agent.disabled }),
      }, t(agent.disabled ? 'people.enable' : 'people.disable'))));
}

/** @param {Protocol.Agent} agent */
function roleChoice(agent) {
  const options = /** @type {const} */ (['agent', 'owner']).map((role) => make('option', { value: role, selected: role === agent.role }, t(`people.role_${role}`)));
  return make('select', {
    className: 'input', attrs: { 'aria-label': `${t('people.role')}: ${agent.name}` },
    onchange: (event) => change({ id: agent.id, role: /** @type {HTMLSelectElement} */ (event.target).value }),
  }, ...options);
}

/** @param {{id: number, role?: string, disabled?: boolean}} what */
async function change(what) {
  let problem = '';
  try {
    await post('../api/agents/update', what);
  } catch (error) {
    problem = words(error);
  }
  await load();
  if (problem) showProblem(byId('people-problem'), problem);
}

/** @param {Protocol.Agent} agent */
async function linkPassword({ id, name }) {
  try {
    const { url, expires_at: until } = await post('../api/agents/password-link', { id });
    showLink(url, 'people.password_link_until', { name, when: whole(parse(until) ?? new Date()) });
    showProblem(byId('people-problem'), '');
  } catch (error) {
    showProblem(byId('people-problem'), words(error));
  }
}

/** Shows a link to copy. @param {string} url @param {string} key of its label @param {Record<string, string>} about */
function showLink(url, key, about) {
  byId('invite-link').value = url;
  byId('invite-until').textContent = t(key, about);
  byId('invite-copied').textContent = '';
  byId('invite-made').hidden = false;
  byId('invite-copy').focus();
}

// --- inviting ------------------------------------------------------------------

const invite = byId('invite').elements;
step(byId('invite'), byId('invite-make'), byId('invite-problem'), async () => {
  const email = invite.email.value.trim();
  if (email && !EMAIL.test(email)) {
    invite.email.focus();
    return t('people.wrong_email');
  }
  try {
    const { url, expires_at: until } = await post('../api/agents/invite', { role: invite.role.value, email });
    showLink(url, 'people.invite_until', { when: whole(parse(until) ?? new Date()) });
    return '';
  } catch (error) {
    return words(error);
  }
});

byId('invite-copy').addEventListener('click', () => copy(byId('invite-link'), byId('invite-copied'), t('people.copied')));

// --- the own account -----------------------------------------------------------

const account = byId('account').elements;

function fillAccount() {
  account.name.value = me.name;
  account.email.value = me.email;
  account.locale.value = me.locale || lang;
  account.password.value = '';
  account.current.value = '';
  byId('account-current-field').hidden = true;
}

/** What is wrong with what was entered, and in which field. @returns {[string, HTMLInputElement?]} */
function complaint() {
  const { name, email, password, current } = account;
  if (!name.value.trim() || name.value.includes('@')) return [t('people.wrong_name'), name];
  if (email.value.trim() && !EMAIL.test(email.value.trim())) return [t('people.wrong_email'), email];
  if (password.value && [...password.value].length < PASSWORD) return [t('people.short_password'), password];
  if (password.value && me.password && !current.value) return [t('people.fill_current'), current];
  return [''];
}

/** @type {Lookup<HTMLInputElement>} */
const FIELD = { name_taken: account.name, email_taken: account.email, wrong_password: account.current };

step(byId('account'), byId('account-save'), byId('account-problem'), async () => {
  byId('account-said').textContent = '';
  let [text, field] = complaint();
  if (!text) {
    const password = account.password.value;
    try {
      me = await post('../api/me', {
        name: account.name.value, email: account.email.value, locale: account.locale.value, ...(password && { password, current_password: account.current.value }),
      });
      fillAccount();
      byId('account-said').textContent = t('people.saved');
      if (me.locale !== lang) location.search = `?lang=${me.locale}`;
      else await Promise.all([load(), showSessions(words)]);
    } catch (error) {
      text = words(error);
      field = FIELD[/** @type {Failure} */ (error).code ?? ''];
    }
  }
  for (const one of [account.name, account.email, account.password, account.current]) one.toggleAttribute('aria-invalid', false);
  field?.setAttribute('aria-invalid', 'true');
  field?.focus();
  return text;
});

account.password.addEventListener('input', () => { byId('account-current-field').hidden = !me.password || !account.password.value; });

// --- the authenticator app -----------------------------------------------------

const second = byId('second-start').elements;

function drawSecond() {
  byId('second-about').textContent = t(me.totp ? 'people.second_on' : me.password ? 'people.second_off' : 'people.second_first_password');
  byId('second-button').textContent = t(me.totp ? 'people.second_remove' : 'people.second_start');
  byId('second-start').hidden = !me.totp && !me.password;
  byId('second-password-field').hidden = !me.totp;
  second.password.value = '';
}

step(byId('second-start'), byId('second-button'), byId('second-problem'), async () => {
  byId('recovery').hidden = true;
  if (me.totp && !second.password.value) {
    second.password.focus();
    return t('people.fill_current');
  }
  try {
    if (me.totp) {
      await post('../api/me/totp/remove', { password: second.password.value });
      await load();
      drawSecond();
      return '';
    }
    const { secret, qr } = await post('../api/me/totp');
    byId('second-qr').src = qr;
    byId('second-secret').textContent = secret.replace(/(.{4})(?=.)/g, '$1 ');
    byId('second-setup').hidden = false;
    byId('second-start').hidden = true;
    byId('second-code').focus();
    return '';
  } catch (error) {
    return words(error);
  }
});

step(byId('second-setup'), byId('setup-button'), byId('setup-problem'), async () => {
  const code = byId('second-code');
  try {
    const { recovery_codes: codes } = await post('../api/me/totp/confirm', { otp: code.value });
    code.value = '';
    byId('second-setup').hidden = true;
    byId('recovery-codes').replaceChildren(...codes.map((one) => make('li', {}, one)));
    byId('recovery').hidden = false;
    await load();
    drawSecond();
    return '';
  } catch (error) {
    code.select();
    return /** @type {Failure} */ (error).code === 'validation_failed' ? t('people.wrong_code') : words(error);
  }
});

const drawPicture = ownPicture(async (account) => {
  me = account;
  await load();
}, words);

const loaded = await load();
if (loaded) {
  drawPicture(loaded);
  fillAccount();
  drawSecond();
  if (document.getElementById('telegram')) offerTelegram(() => me.telegram, words);
  addPasskeys(words);
  await Promise.all([showPasskeys(words), showSessions(words)]);
}
/** @type {HTMLElement} */ (document.querySelector('.people')).dataset.told = '';
