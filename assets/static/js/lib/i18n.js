// The texts of this page in its language, which the server embeds in the page.

/** @type {Record<string, string>} */
const strings = JSON.parse(document.getElementById('strings')?.textContent || '{}');
export const lang = document.documentElement.lang || 'tr';
const plural = new Intl.PluralRules(lang);

/** The text `section.name` with {placeholders} replaced. @param {string} key @param {Record<string, unknown>} values */
export function t(key, values = {}) {
  const text = strings[key];
  if (text === undefined) throw new Error(`no text ${key}`);
  return text.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
}

/** The same for a number: `key_one` or `key_other` according to the language's plural rules. @param {string} key @param {number} n @param {Record<string, unknown>} values */
export function count(key, n, values = {}) {
  const form = `${key}_${plural.select(n)}`;
  return t(form in strings ? form : `${key}_other`, { n: new Intl.NumberFormat(lang).format(n), ...values });
}

/** Whether this page has such a text; used for error codes of the server. @param {string} key */
export const has = (key) => key in strings;
