// What may be sent, and making pictures fit before they are: a phone's photo in seconds instead of minutes.
import { size } from './amounts.js';
import { styles } from './dom.js';
import { t } from './i18n.js';

await styles('tools');

const MB = 1024 * 1024;
/** The server's limits for each kind, in bytes. */
export const LIMITS = { image: 5 * MB, audio: 10 * MB, file: 10 * MB };
const LONGEST_SIDE = 2560;
const LARGE = 1.5 * MB;

const PICTURES = /^image\/(jpeg|png|webp|gif)$/;
const DOCUMENTS = /\.(pdf|txt|csv|log|docx|xlsx|zip)$/i;
/** A file that cannot be sent; the message says why, in words for the person. */
class Unfit extends Error { name = 'Unfit'; }

/** image, audio or file, as messages have it. */
function kindOf(file) {
  if (file.type.startsWith('image/') && file.type !== 'image/svg+xml') return 'image';
  if (file.type.startsWith('audio/')) return 'audio';
  if (DOCUMENTS.test(file.name)) return 'file';
  throw new Unfit(t('talk.unfit_type', { name: file.name }));
}

/**
 * Makes a file ready to be sent. Throws Unfit.
 * @returns {Promise<{type: string, blob: Blob, name: string, size: number, width?: number, height?: number}>}
 */
export async function prepare(file) {
  const type = kindOf(file);
  let ready = { type, blob: file, name: file.name || t(type === 'image' ? 'talk.picture' : 'talk.file') };
  if (type === 'image') ready = { ...ready, ...await fit(file, ready.name) };
  ready.size = ready.blob.size;
  if (ready.size === 0) throw new Unfit(t('talk.unfit_empty', { name: ready.name }));
  if (ready.size > LIMITS[type]) throw new Unfit(t('talk.unfit_size', { name: ready.name, max: size(LIMITS[type]) }));
  return ready;
}

/** Shrinks a picture that is larger than any screen shows. Animations stay as they are. */
async function fit(file, name) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file, { imageOrientation: 'from-image' });
  } catch {
    // A format that this browser cannot show. The server may know it; if not, it says so.
    if (PICTURES.test(file.type)) return {};
    throw new Unfit(t('talk.unfit_type', { name }));
  }
  const { width, height } = bitmap;
  const scale = Math.min(1, LONGEST_SIDE / Math.max(width, height));
  const fine = PICTURES.test(file.type) && scale === 1 && file.size <= (file.type === 'image/jpeg' ? LARGE : LIMITS.image);
  if (fine || (file.type === 'image/gif' && file.size <= LIMITS.image)) {
    bitmap.close();
    return { width, height };
  }
  const canvas = document.createElement('canvas');
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.max(1, Math.round(height * scale));
  const paint = canvas.getContext('2d');
  paint.fillStyle = '#fff'; // JPEG knows no transparency
  paint.fillRect(0, 0, canvas.width, canvas.height);
  paint.imageSmoothingQuality = 'high';
  paint.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, 'image/jpeg', 0.86));
  if (!blob) return { width, height };
  return { blob, width: canvas.width, height: canvas.height, name: name.replace(/\.[^.]*$/, '') + '.jpg' };
}
