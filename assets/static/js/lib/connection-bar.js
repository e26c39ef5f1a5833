// The bar above a conversation that shows when there is no connection.
/** @import { Connection } from './connection.js' */
/** @import { Outbox } from './outbox.js' */
import { byId } from './dom.js';
import { count, t } from './i18n.js';

// Interruptions shorter than this (ms) are not shown.
const PATIENCE = 700;

/** @param {Connection} connection @param {Outbox} outbox */
export function connectionBar(connection, outbox) {
  const bar = byId('connection');
  const text = /** @type {Element} */ (bar.lastElementChild);
  let timer = 0;

  const show = () => {
    const waiting = outbox.waiting;
    if (connection.online || connection.state === 'refused') { // a refused session is shown elsewhere
      bar.hidden = true;
      return;
    }
    const words = /** @type {Lookup<string>} */ ({ connecting: 'talk.connecting', missing: 'talk.no_client' })[connection.state] ?? 'talk.offline';
    text.textContent = waiting && connection.state !== 'missing' ? count('talk.offline_waiting', waiting) : t(words);
    bar.hidden = false;
  };
  const refresh = () => {
    clearTimeout(timer);
    if (connection.online || !bar.hidden) show();
    else timer = setTimeout(show, PATIENCE);
  };
  connection.addEventListener('state', refresh);
  outbox.addEventListener('change', refresh);
  outbox.addEventListener('sent', refresh);
  refresh();
  return { refresh };
}
