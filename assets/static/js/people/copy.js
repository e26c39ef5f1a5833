import { t } from '../lib/i18n.js';

/** Copies the text of a field, and says so, or how to do it by hand. @param {HTMLInputElement} field @param {HTMLElement} status @param {string} done */
export async function copy(field, status, done) {
  field.select();
  try {
    await navigator.clipboard.writeText(field.value);
    status.textContent = done;
  } catch { // without HTTPS, or without permission
    status.textContent = t('people.copy_yourself');
  }
}
