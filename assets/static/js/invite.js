// Accepting an invitation, whose token is the last part of the page's address.
import { post } from './lib/api.js';
import { byId } from './lib/dom.js';
import { step } from './lib/form-step.js';
import { lang, t } from './lib/i18n.js';
import { createPasskey, declined, supported } from './lib/passkey.js';

const PASSWORD = 12; // characters

const form = /** @type {PageElements['join'] | null} */ (document.getElementById('join')); // missing if the invitation is not valid

/** The text for an error, and the field that it is about. @param {unknown} thrown @returns {[string, ('name' | 'email' | 'password')?]} */
function words(thrown) {
  const { code, status } = /** @type {Failure} */ (thrown);
  if (code === 'name_taken') return [t('invite.name_taken'), 'name'];
  if (code === 'email_taken') return [t('invite.email_taken'), 'email'];
  if (code === 'network') return [t('invite.offline')];
  if (status === 429) return [t('invite.wait')];
  if (status === 404) return [t('invite.gone')];
  return [t('invite.failed')];
}

/** What is wrong with what was entered. @param {{name: string, email: string, password: string}} entered @param {boolean} passkey whether it takes the password's place @returns {[string, ('name' | 'email' | 'password')?]} */
function complaint({ name, email, password }, passkey) {
  if (!name || name.includes('@')) return [t('invite.fill_name'), 'name'];
  if (email && !/^[^\s@]+@[^\s@]+$/.test(email)) return [t('invite.wrong_email'), 'email'];
  if (!passkey && [...password].length < PASSWORD) return [t('invite.short_password'), 'password'];
  return [''];
}

if (form) {
  const { elements, dataset: { base = '' } } = form;
  let withPasskey = false;
  step(form, byId('join-button'), byId('join-problem'), async () => {
    const entered = { name: elements.name.value.trim(), email: elements.email.value.trim(), password: elements.password.value };
    const chosen = withPasskey;
    withPasskey = false;
    let [text, field] = complaint(entered, chosen);
    if (!text) {
      try {
        const token = location.pathname.split('/').at(-1);
        const passkey = chosen && await createPasskey(await post('../api/invite/passkey', { token, name: entered.name }));
        await post('../api/invite', { token, locale: lang, ...entered, ...(passkey && { passkey, password: '' }) });
        location.assign(`${base}/admin`);
        return '';
      } catch (error) {
        [text, field] = declined(error) ? [t('invite.passkey_declined')] : words(error);
      }
    }
    for (const name of /** @type {const} */ (['name', 'email', 'password'])) elements[name].toggleAttribute('aria-invalid', false);
    if (field) {
      elements[field].setAttribute('aria-invalid', 'true');
      elements[field].focus();
    }
    return text;
  });
  byId('join-passkey').hidden = !supported;
  byId('join-passkey').addEventListener('click', () => {
    withPasskey = true;
    byId('join-button').click();
  });
}
