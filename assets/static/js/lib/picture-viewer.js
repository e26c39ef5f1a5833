// The full-size view of a picture. Escape closes it, and the focus returns to where it was.
import { byId, styles } from './dom.js';

await styles('composer-tools');

/** @param {{address: string, alt: string, name: string, own?: boolean}} picture */
export function view({ address, alt, name }) {
  const dialog = byId('viewer');
  const picture = byId('viewer-picture');
  const save = byId('viewer-save');
  picture.src = address;
  picture.alt = alt;
  byId('viewer-name').textContent = name;
  save.href = address;
  save.download = name;
  dialog.onclick = (event) => { if (event.target === dialog || event.target === picture.parentElement) dialog.close(); };
  dialog.addEventListener('close', () => picture.removeAttribute('src'), { once: true });
  dialog.showModal();
  /** @type {HTMLElement | null} */ (dialog.querySelector('[method=dialog] button'))?.focus();
}
