// What agents must know of the server's disk: that it fills, or that visitors cannot write any more.
import { byId } from '../lib/dom.js';
import { t } from '../lib/i18n.js';

/**
 * @param {Live} live
 * @returns {(storage?: 'ok'|'low'|'full') => void} takes in what the server says
 */
export function storage(live) {
  const line = byId('storage');
  const show = (state) => {
    line.textContent = state === 'full' ? t('console.storage_full') : state === 'low' ? t('console.storage_low') : '';
    line.hidden = !line.textContent;
  };
  live.on('storage_status', (told) => show(told.storage));
  return show;
}
