// Setting a new password by a link, whose token is the last part of the page's address.
import { post } from './lib/api.js';
import { byId } from './lib/dom.js';
import { step } from './lib/form-step.js';
import { t } from './lib/i18n.js';

const PASSWORD = 12; // characters

const form = /** @type {PageElements['set'] | null} */ (document.getElementById('set')); // missing if the link is not valid

/** The text for an error. @param {unknown} thrown */
function words(thrown) {
  const { code, status } = /** @type {Failure} */ (thrown);
  if (code === 'network') return t('password.offline');
  if (status === 429) return t('password.wait');
  if (status === 404) return t('password.gone');
  return t('password.failed');
}

if (form) {
  const { elements: { password }, dataset: { base = '' } } = form;
  step(form, byId('set-button'), byId('set-problem'), async () => {
    const short = [...password.value].length < PASSWORD;
    password.toggleAttribute('aria-invalid', false);
    if (short) {
      password.setAttribute('aria-invalid', 'true');
      password.focus();
      return t('password.short');
    }
    try {
      const answer = await post('../api/password', { token: location.pathname.split('/').at(-1), password: password.value });
      location.assign(answer.totp_required ? `${base}/login#code` : `${base}/admin`);
      return '';
    } catch (error) {
      return words(error);
    }
  });
}
