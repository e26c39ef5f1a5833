// Formatting of times: the hour next to a message, the day between messages, the time elapsed in a list.
import { lang, t } from './i18n.js';

/** Whether a language tag is well-formed (BCP 47): Chromium in the locale "C" has "en-US@posix", with which Intl throws. @param {string} tag */
function wellFormed(tag) {
  try { return Intl.getCanonicalLocales(tag).length === 1; } catch { return false; }
}
/** The browser's locale for the page's language, because regions differ: en-GB has a 24-hour clock, en-US does not. */
const locale = navigator.languages.find((one) => one.split('-')[0] === lang && wellFormed(one)) ?? lang;
const hour = new Intl.DateTimeFormat(locale, { timeStyle: 'short' });
const weekday = new Intl.DateTimeFormat(locale, { weekday: 'long', day: 'numeric', month: 'long' });
const dated = new Intl.DateTimeFormat(locale, { day: 'numeric', month: 'long', year: 'numeric' });
const short = new Intl.DateTimeFormat(locale, { day: 'numeric', month: 'short' });
const full = new Intl.DateTimeFormat(locale, { dateStyle: 'long', timeStyle: 'short' });

export const clock = (/** @type {Date} */ at) => hour.format(at);
export const whole = (/** @type {Date} */ at) => full.format(at);

const midnight = (/** @type {Date} */ at) => +new Date(at.getFullYear(), at.getMonth(), at.getDate());
const daysAgo = (/** @type {Date} */ at) => Math.round((midnight(new Date()) - midnight(at)) / 86_400_000);

/** A key that is equal for times on the same local day. @param {Date} at */
export const dayKey = (at) => `${at.getFullYear()}-${at.getMonth()}-${at.getDate()}`;

/** "Bugün", "Dün", "20 Kasım Cuma", "3 Ocak 2025" @param {Date} at */
export function day(at) {
  const days = daysAgo(at);
  if (days <= 0) return t('common.today');
  if (days === 1) return t('common.yesterday');
  return at.getFullYear() === new Date().getFullYear() ? weekday.format(at) : dated.format(at);
}

/** "şimdi", "5 dk", "3 sa", "dün", "20 Kas" @param {Date} at */
export function ago(at) {
  const minutes = Math.floor((Date.now() - +at) / 60_000);
  if (minutes < 1) return t('common.now');
  if (minutes < 60) return t('common.minutes', { n: minutes });
  if (daysAgo(at) < 1) return t('common.hours', { n: Math.floor(minutes / 60) });
  if (daysAgo(at) === 1) return t('common.yesterday_short');
  return short.format(at);
}

/** "12 dk", "3 sa", "2 gün": a duration of n minutes. @param {number} n */
export function span(n) {
  if (n < 60) return t('common.minutes', { n });
  if (n < 48 * 60) return t('common.hours', { n: Math.floor(n / 60) });
  return t('common.days', { n: Math.floor(n / 1440) });
}

/** Parses a time from the server; null if it is missing or invalid. @param {string | null | undefined} value */
export function parse(value) {
  const at = value ? new Date(value) : null;
  return at && !Number.isNaN(at.getTime()) ? at : null;
}

/** "Bugün 20:53" @param {string} time from the server */
export function moment(time) {
  const at = parse(time) ?? new Date();
  return `${day(at)} ${clock(at)}`;
}
