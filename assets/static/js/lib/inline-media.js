// Shows a video, or a photo in a format that not every browser supports, above its download link.
import { make, styles } from './dom.js';

await styles('media-player');

/**
 * @param {HTMLElement} paper the download link; nothing is shown above it if this browser cannot display the file
 * @param {string} address
 * @param {string} name
 */
export function show(paper, address, name) {
  /** @type {HTMLElement} */
  const node = /(heic|avif)$/.test(address)
    ? make('img', { className: 'inline', src: address, alt: name, hidden: true, onload: () => { node.hidden = false; } })
    : make('video', { className: 'inline', src: address, controls: true, playsInline: true, preload: 'metadata', attrs: { 'aria-label': name } });
  node.addEventListener('error', () => node.remove(), { once: true });
  paper.before(node);
}
