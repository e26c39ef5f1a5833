// Linking the agent's Telegram account, with a command that the agent sends to the bot.
import { get, post } from '../lib/api.js';
import { byId } from '../lib/dom.js';
import { clock, parse } from '../lib/format-time.js';
import { step } from '../lib/form-step.js';
import { t } from '../lib/i18n.js';
import { copy } from './copy.js';

const POLL = 2000; // ms between looks at whether the command has arrived

/** @param {() => boolean} isLinked whether an account is linked as the page opens @param {(thrown: unknown) => string} words */
export function offerTelegram(isLinked, words) {
  let linked = isLinked();
  /** When the command on the page expires; 0 = none is shown. */
  let until = 0;

  function draw() {
    byId('telegram-about').textContent = t(linked ? 'people.telegram_on' : 'people.telegram_off');
    byId('telegram-button').textContent = t(linked ? 'people.telegram_remove' : 'people.telegram_start');
    byId('telegram-made').hidden = until === 0;
  }

  async function poll() {
    if (until === 0) return;
    try {
      if (!document.hidden) linked = (await get('../api/me')).telegram;
    } catch {
      // tried again
    }
    if (linked || Date.now() > until) until = 0;
    draw();
    if (until > 0) setTimeout(poll, POLL);
  }

  step(byId('telegram'), byId('telegram-button'), byId('telegram-problem'), async () => {
    try {
      if (linked) {
        await post('../api/me/telegram/unlink');
        linked = false;
      } else {
        const { code, expires_at: expires } = await post('../api/me/telegram');
        const end = parse(expires) ?? new Date();
        byId('telegram-command').value = `/link ${code}`;
        byId('telegram-until').textContent = t('people.telegram_send', { when: clock(end) });
        byId('telegram-copied').textContent = '';
        if (until === 0) setTimeout(poll, POLL);
        until = end.getTime();
      }
      draw();
      return '';
    } catch (error) {
      return words(error);
    }
  });

  byId('telegram-copy').addEventListener('click', () => copy(byId('telegram-command'), byId('telegram-copied'), t('people.copied_short')));
  draw();
}
