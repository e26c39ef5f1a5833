// The agent's passkeys.
import { get, post } from '../lib/api.js';
import { byId, make, showProblem } from '../lib/dom.js';
import { moment } from '../lib/format-time.js';
import { step } from '../lib/form-step.js';
import { t } from '../lib/i18n.js';
import { createPasskey, declined, supported } from '../lib/passkey.js';

/**
 * Lists the passkeys, with a button to remove each.
 * @param {(thrown: unknown) => string} words the text for an error
 */
export async function showPasskeys(words) {
  byId('passkey-add').hidden = !supported;
  byId('passkeys-about').textContent = t(supported ? 'people.passkeys_about' : 'people.passkeys_unsupported');
  try {
    const passkeys = await get('../api/me/passkeys');
    byId('passkeys').replaceChildren(...passkeys.map((passkey) => row(passkey, words)));
    showProblem(byId('passkeys-problem'), '');
  } catch (error) {
    showProblem(byId('passkeys-problem'), words(error));
  }
}

/** @param {Protocol.Passkey} passkey @param {(thrown: unknown) => string} words */
function row(passkey, words) {
  const used = passkey.used_at ? t('people.session_seen', { when: moment(passkey.used_at) }) : t('people.passkey_unused');
  return make('li', {},
    make('div', {},
      make('b', { dir: 'auto' }, passkey.name || t('people.passkey')),
      make('span', { className: 'quiet' }, `${used} · ${t('people.passkey_made', { when: moment(passkey.created_at) })}`)),
    make('button', {
      type: 'button', className: 'button plain', attrs: { 'aria-label': `${t('people.passkey_remove')}: ${passkey.name}` }, onclick: () => remove(passkey.id, words),
    }, t('people.passkey_remove')));
}

/** @param {number} id @param {(thrown: unknown) => string} words */
async function remove(id, words) {
  let problem = '';
  try {
    await post('../api/me/passkeys/remove', { id });
  } catch (error) {
    problem = /** @type {Failure} */ (error).code === 'conflict' ? t('people.passkey_last') : words(error);
  }
  await showPasskeys(words);
  if (problem) showProblem(byId('passkeys-problem'), problem);
}

/** Makes the form add passkeys. @param {(thrown: unknown) => string} words the text for an error */
export function addPasskeys(words) {
  const { name } = byId('passkey-add').elements;
  step(byId('passkey-add'), byId('passkey-button'), byId('passkeys-problem'), async () => {
    try {
      const credential = await createPasskey(await post('../api/me/passkeys/begin'));
      await post('../api/me/passkeys/finish', { credential, name: name.value });
    } catch (error) {
      if (declined(error)) return t('people.passkey_declined');
      return /** @type {Failure} */ (error).code === 'conflict' ? t('people.passkey_impossible') : words(error);
    }
    name.value = '';
    await showPasskeys(words);
    return '';
  });
}
