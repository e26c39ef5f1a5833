// How times read: the hour beside a message, the day between messages, how long ago in a list.
import { lang, t } from './i18n.js';

/** Whether the browser's own tag is one (BCP 47): Chromium in the locale "C" says "en-US@posix", with which Intl throws. */
function wellFormed(tag) {
  try { return Intl.getCanonicalLocales(tag).length === 1; } catch { return false; }
}
/** The reader's region, where it speaks the page's language: en-GB has another clock than en-US. */
const locale = navigator.languages.find((one) => one.split('-')[0] === lang && wellFormed(one)) ?? lang;
const hour = new Intl.DateTimeFormat(locale, { timeStyle: 'short' });
const weekday = new Intl.DateTimeFormat(locale, { weekday: 'long', day: 'numeric', month: 'long' });
const dated = new Intl.DateTimeFormat(locale, { day: 'numeric', month: 'long', year: 'numeric' });
const short = new Intl.DateTimeFormat(locale, { day: 'numeric', month: 'short' });
const full = new Intl.DateTimeFormat(locale, { dateStyle: 'long', timeStyle: 'short' });

export const clock = (at) => hour.format(at);
export const whole = (at) => full.format(at);

const midnight = (at) => new Date(at.getFullYear(), at.getMonth(), at.getDate());
const daysAgo = (at) => Math.round((midnight(new Date()) - midnight(at)) / 86_400_000);

/** A key that is equal for times of one local day. */
export const dayKey = (at) => `${at.getFullYear()}-${at.getMonth()}-${at.getDate()}`;

/** "Bugün", "Dün", "20 Kasım Cuma", "3 Ocak 2025" */
export function day(at) {
  const days = daysAgo(at);
  if (days <= 0) return t('common.today');
  if (days === 1) return t('common.yesterday');
  return at.getFullYear() === new Date().getFullYear() ? weekday.format(at) : dated.format(at);
}

/** "şimdi", "5 dk", "3 sa", "dün", "20 Kas" */
export function ago(at) {
  const minutes = Math.floor((Date.now() - at) / 60_000);
  if (minutes < 1) return t('common.now');
  if (minutes < 60) return t('common.minutes', { n: minutes });
  if (daysAgo(at) < 1) return t('common.hours', { n: Math.floor(minutes / 60) });
  if (daysAgo(at) === 1) return t('common.yesterday_short');
  return short.format(at);
}

/** "12 dk", "3 sa", "2 gün": how long so many minutes are, not when. */
export function span(n) {
  if (n < 60) return t('common.minutes', { n });
  if (n < 48 * 60) return t('common.hours', { n: Math.floor(n / 60) });
  return t('common.days', { n: Math.floor(n / 1440) });
}

/** A Date from the wire, or null when it is missing or not a time. */
export function parse(value) {
  const at = value ? new Date(value) : null;
  return at && !Number.isNaN(at.getTime()) ? at : null;
}
