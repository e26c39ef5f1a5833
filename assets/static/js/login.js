// Signing in: request a code (after the password, if one is set), then enter it.
import { post } from './lib/api.js';
import { byId, showProblem } from './lib/dom.js';
import { count, t } from './lib/i18n.js';

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

/**
 * Runs one request at a time per form: a second click during a request is ignored.
 * @param {HTMLFormElement} form
 * @param {HTMLElement} button
 * @param {HTMLElement} problem
 * @param {() => Promise<string>} run resolves with the text of an error, '' for none
 */
function step(form, button, problem, run) {
  let busy = false;
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    if (busy) return;
    busy = true;
    button.setAttribute('aria-disabled', 'true');
    showProblem(problem, '');
    try {
      const complaint = await run();
      if (complaint) showProblem(problem, complaint);
    } finally {
      busy = false;
      button.removeAttribute('aria-disabled');
    }
  });
}

async function sendCode() {
  if (withPassword) {
    const { username, password } = ask.elements;
    if (!username.value.trim() || !password.value) {
      (username.value.trim() ? password : username).focus();
      return t('login.fill_both');
    }
    try {
      await post('admin/login', { username: username.value.trim(), password: password.value });
    } catch (error) {
      password.select();
      return words(error, 'login.wrong_password');
    }
  } else {
    try {
      await post('request-otp');
    } catch (error) {
      return words(error, 'login.no_code');
    }
  }
  ask.hidden = true;
  verify.hidden = false;
  byId('code').focus();
  return '';
}

step(ask, byId('ask-button'), byId('ask-problem'), sendCode);

step(verify, byId('verify-button'), byId('verify-problem'), async () => {
  const code = byId('code');
  const otp = code.value.replace(/\D/g, '');
  if (otp.length !== 6) {
    code.focus();
    return t('login.six_digits');
  }
  try {
    const answer = await post(withPassword ? 'admin/verify-otp' : 'verify-otp', { otp });
    const to = 'redirect' in answer ? answer.redirect : '';
    // Redirects only to a path on this server.
    location.assign(/^\/(?![/\\])/.test(to) ? to : 'admin');
    return '';
  } catch (error) {
    code.select();
    return words(error, 'login.wrong_code');
  }
});

byId('code').addEventListener('input', () => {
  const code = byId('code');
  const digits = code.value.replace(/\D/g, '').slice(0, 6);
  if (digits !== code.value) code.value = digits;
  if (digits.length === 6) byId('verify-button').click();
});

byId('again').addEventListener('click', () => {
  byId('code').value = '';
  showProblem(byId('verify-problem'), '');
  verify.hidden = true;
  ask.hidden = false;
  if (withPassword) ask.elements.password.focus();
  else byId('ask-button').focus();
});
