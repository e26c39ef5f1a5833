// The warning that the server's disk is nearly full, or so full that visitors cannot write.
import { byId } from '../lib/dom.js';
import { t } from '../lib/i18n.js';
/** @import { Connection } from '../lib/connection.js' */

/**
 * Returns a function that shows the state that the server sent.
 * @param {Connection} connection
 */
export function diskStatus(connection) {
  const line = byId('storage');
  const show = (/** @type {Protocol.Storage} */ state) => {
    line.textContent = state === 'full' ? t('console.storage_full') : state === 'low' ? t('console.storage_low') : '';
    line.hidden = !line.textContent;
  };
  connection.on('storage_status', (told) => show(told.storage));
  return show;
}
