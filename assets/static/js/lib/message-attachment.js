// Elements for a message's attachment (a picture, a voice message or a file) and for the progress of its upload.
import { size } from './format-sizes-and-durations.js';
import { icon, make } from './dom.js';
import { t } from './i18n.js';
import { player } from './voice-player-placeholder.js';
import { linked, safeURL } from './message-text.js';
/** @import { Entry } from './message-entry.js' */

const FULL = 272; // maximum width of a picture in a conversation, in px
const TALL = 320;

/** The displayed size, set before the picture is loaded, so that it causes no layout shift. @param {Entry['file']} file */
function frame({ width, height }) {
  if (!width || !height) return {};
  const scale = Math.min(1, FULL / width, TALL / height);
  return { width: Math.round(width * scale), height: Math.round(height * scale) };
}

/** @param {Entry} entry @param {string} address */
function picture(entry, address) {
  const name = entry.file.name || t('talk.picture');
  const alt = entry.text || name;
  const show = make('img', {
    src: entry.preview ?? (entry.file.thumb ? safeURL(entry.file.thumb) : null) ?? address, alt, decoding: 'async', loading: entry.preview ? 'eager' : 'lazy',
    ...frame(entry.file),
  });
  const button = make('button', {
    type: 'button', className: 'picture', title: t('talk.enlarge'), attrs: { 'aria-label': `${t('talk.enlarge')}: ${alt}` },
    onclick: async () => (await import('./picture-viewer.js')).view({ address: entry.preview ?? address, alt, name }),
  }, show);
  show.addEventListener('error', () => button.replaceWith(gone()), { once: true });
  return button;
}

const gone = () => make('p', { className: 'gone quiet' }, icon('alert'), t('talk.file_gone'));

/** @param {Entry} entry @param {string | null} address */
function paper(entry, address) {
  const { name, bytes } = entry.file;
  const end = /\.([a-z0-9]{1,4})$/i.exec(name ?? '')?.[1]?.toUpperCase();
  const about = [end, bytes && size(bytes)].filter(Boolean).join(' · ');
  const inside = [
    make('span', { className: 'paper' }, icon('page')),
    make('span', { className: 'paper-about' }, make('b', { dir: 'auto' }, name || t('talk.file')), about && make('span', { className: 'paper-size number' }, about)),
  ];
  if (!address) return make('span', { className: 'attachment' }, ...inside);
  return make('a', { className: 'attachment', href: address, download: name || '', target: '_blank', rel: 'noopener noreferrer' }, ...inside, icon('download'));
}

/** The elements for an entry's attachment; none for text. @param {Entry} entry @returns {HTMLElement[]} */
export function attachment(entry) {
  if (entry.type === 'text' || (!entry.url && !entry.preview && !entry.file.name)) return [];
  const address = entry.url ? safeURL(entry.url) : null;
  // Only files stored by the server are displayed: below its /uploads/, or at another address with the size that the server
  // recorded. Others become links.
  if (entry.url && !entry.file.bytes && !address?.startsWith(new URL('uploads/', location.href).href)) return [make('div', {}, ...linked(entry.url))];
  const shown = address ?? entry.preview;
  if (entry.type === 'image' && shown) return [picture(entry, shown)];
  if (entry.type === 'audio' && shown) return [player(entry.preview ?? shown)];
  const download = paper(entry, address);
  if (address && /(mp4|mov|webm|heic|avif)$/.test(address)) import('./inline-media.js').then(({ show }) => show(download, address, entry.file.name ?? ''), () => {});
  return [download];
}

/** The progress of an upload, with a button to cancel it. @param {number} share @param {() => void} onDrop */
export function transfer(share, onDrop) {
  const bar = make('progress', { className: 'transfer-bar', max: 1, value: share, attrs: { 'aria-label': t('talk.uploading') } });
  return make('div', { className: 'transfer' }, bar, make('span', { className: 'transfer-share number' }, percent(share)),
    make('button', { type: 'button', className: 'transfer-stop', title: t('talk.stop'), attrs: { 'aria-label': t('talk.stop') }, onclick: onDrop }, icon('close')));
}

const percents = new Intl.NumberFormat(document.documentElement.lang, { style: 'percent' });
const percent = (/** @type {number} */ share) => percents.format(share);

/** Updates the progress of an upload. @param {HTMLElement} node @param {number} share */
export function advance(node, share) {
  const bar = node.querySelector('progress');
  if (!bar) return;
  bar.value = share;
  /** @type {Element} */ (bar.nextElementSibling).textContent = percent(share);
}
