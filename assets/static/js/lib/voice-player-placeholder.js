// A placeholder for the player of a voice message. The player's code is loaded with the first one.
import { make } from './dom.js';
import { t } from './i18n.js';

/**
 * @param {string} address
 * @param {{seconds?: number}} known the length, if known
 */
export function player(address, { seconds = 0 } = {}) {
  const node = make('div', { className: 'player', attrs: { role: 'group', 'aria-label': t('talk.voice') } });
  import('./voice-player.js').then(({ fill }) => fill(node, address, seconds), () => { node.textContent = t('talk.part_missing'); });
  return node;
}
