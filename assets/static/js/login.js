// Signing in: request a code (after the password, if one is set), then enter it.
import { post } from './lib/api.js';
import { byId, showProblem } from './lib/dom.js';
import { step } from './lib/form-step.js';
import { count, t } from './lib/i18n.js';
import { declined, supported, usePasskey } from './lib/passkey.js';

const page = byId('login');
const withPassword = page.dataset.password === 'true';
const ask = byId('ask');
const verify = byId('verify');

/** The text for an error. @param {unknown} thrown @param {string} fallback */
function words(thrown, fallback) {
  const error = /** @type {Failure} */ (thrown);
  if (error.status === 429) return error.retryAfter ? count('login.wait', Math.ceil(error.retryAfter / 60)) : t('login.wait_some');
  if (error.code === 'network') return t('login.offline');
  if (error.code === 'code_not_delivered') return t('login.not_delivered');
  if (error.status && error.status >= 500) return t('login.server');
  return t(fallback);
}

/** Whether the code that is entered follows a password. */
let afterPassword = withPassword;
/** Whether it is one of an authenticator app, for which there are recovery codes too. */
let ofApp = false;

/** Redirects only to a path on this server. @param {string} [to] */
const go = (to = '') => location.assign(/^\/(?![/\\])/.test(to) ? to : 'admin');

function enterCode(app = false) {
  ofApp = app;
  ask.hidden = true;
  passkey?.toggleAttribute('hidden', true);
  verify.hidden = false;
  byId('verify-sent').hidden = app;
  byId('verify-app').hidden = !app;
  byId('code-hint').hidden = app;
  byId('code').inputMode = app ? 'text' : 'numeric';
  byId('again').textContent = t(app ? 'login.start_again' : 'login.new_code');
  byId('code').focus();
  return '';
}

async function sendCode() {
  afterPassword = false;
  try {
    await post('request-otp');
  } catch (error) {
    return words(error, 'login.no_code');
  }
  return enterCode();
}

async function sendPassword() {
  const { username, password } = ask.elements;
  if (!username.value.trim() || !password.value) {
    (username.value.trim() ? password : username).focus();
    return t('login.fill_both');
  }
  afterPassword = true;
  try {
    const answer = await post('admin/login', { username: username.value.trim(), password: password.value });
    if (answer.otp_sent || answer.totp_required) return enterCode(answer.totp_required);
    go(answer.redirect); // only the owner enters a code too
    return '';
  } catch (error) {
    password.select();
    return words(error, 'login.wrong_password');
  }
}

step(ask, byId('ask-button'), byId('ask-problem'), withPassword ? sendPassword : sendCode);
document.getElementById('code-instead')?.addEventListener('click', async () => showProblem(byId('ask-problem'), await sendCode()));

const passkey = /** @type {HTMLFormElement | null} */ (document.getElementById('passkey')); // missing while there are no passkeys
if (passkey) {
  passkey.hidden = !supported && !ask.hidden;
  step(passkey, byId('passkey-button'), byId('passkey-problem'), async () => {
    if (!supported) return t('login.passkey_unsupported');
    try {
      const credential = await usePasskey(await post('login/passkey/begin'));
      go((await post('login/passkey/finish', { credential })).redirect);
      return '';
    } catch (error) {
      return declined(error) ? t('login.passkey_declined') : words(error, 'login.passkey_unknown');
    }
  });
}

step(verify, byId('verify-button'), byId('verify-problem'), async () => {
  const code = byId('code');
  const otp = ofApp ? code.value.trim() : code.value.replace(/\D/g, '');
  if (ofApp ? !otp : otp.length !== 6) {
    code.focus();
    return t('login.six_digits');
  }
  try {
    const answer = await post(afterPassword ? 'admin/verify-otp' : 'verify-otp', { otp });
    go('redirect' in answer ? answer.redirect : '');
    return '';
  } catch (error) {
    code.select();
    return words(error, 'login.wrong_code');
  }
});

// A new password was set by a link; the code of the authenticator app is next.
if (location.hash === '#code') enterCode(true);

byId('code').addEventListener('input', () => {
  const code = byId('code');
  if (ofApp && !/^[\d\s]*$/.test(code.value)) return; // a recovery code
  const digits = code.value.replace(/\D/g, '').slice(0, 6);
  if (digits !== code.value) code.value = digits;
  if (digits.length === 6) byId('verify-button').click();
});

byId('again').addEventListener('click', () => {
  byId('code').value = '';
  showProblem(byId('verify-problem'), '');
  verify.hidden = true;
  ask.hidden = false;
  passkey?.toggleAttribute('hidden', !supported);
  if (withPassword) ask.elements.password.focus();
  else byId('ask-button').focus();
});
