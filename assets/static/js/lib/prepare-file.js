// Checks files before they are sent, and shrinks pictures: a phone's photo uploads in seconds instead of minutes.
import { size } from './format-sizes-and-durations.js';
import { make, styles } from './dom.js';
import { lang, t } from './i18n.js';
/** @import { Attachment } from './pending-attachments.js' */

await styles('composer-tools');

const MB = 1024 * 1024;
/** The server's size limits for each kind, in bytes. */
export const LIMITS = { image: 5 * MB, audio: 10 * MB, file: 10 * MB };
const LONGEST_SIDE = 2560;
const LARGE = 1.5 * MB;

/** Error texts for files that cannot be sent. They are here and not in the page because most visitors send no files. @type {Record<string, Record<string, string>>} */
const TEXTS = {
  en: {
    type: '“{name}” cannot be sent: {found}. You can send pictures, sound, video (MP4, MOV, WebM), PDF, text, Office and ZIP files.',
    size: '“{name}” is too large: {max} is the most we can send.',
    empty: '“{name}” is empty.',
    unreadable: '“{name}” cannot be read.',
    program: 'it is a program',
    script: 'it is a script',
    archive: 'it is an archive other than ZIP',
    video: 'it is a video of another format',
    unknown: 'its content is of no kind that we know',
  },
  tr: {
    type: '“{name}” gönderilemiyor: {found}. Resim, ses, video (MP4, MOV, WebM), PDF, metin, Office ve ZIP dosyaları gönderebilirsiniz.',
    size: '“{name}” çok büyük: en çok {max} olabilir.',
    empty: '“{name}” boş.',
    unreadable: '“{name}” okunamıyor.',
    program: 'bu bir program',
    script: 'bu bir betik',
    archive: 'bu, ZIP dışında bir arşiv',
    video: 'bu, başka biçimde bir video',
    unknown: 'içeriği tanınmıyor',
  },
};

/** The error of a file that cannot be sent; the message is for the user. */
class Unfit extends Error {
  name = 'Unfit';
  /** @param {string} reason @param {Record<string, string>} values */
  constructor(reason, values) {
    const texts = TEXTS[lang] ?? TEXTS.en;
    super(texts[reason].replace(/\{(\w+)\}/g, (_, key) => (key === 'found' ? texts[values.found] : values[key])));
  }
}

/** @typedef {'image' | 'photo' | 'audio' | 'file' | 'script' | 'program' | 'archive' | 'video' | 'unknown'} Kind */

// biome-ignore-start lint/suspicious/noControlCharactersInRegex: files begin with them
/** File signatures, with each byte as a character: the kind as which files are sent, their media type if known, and the pattern. @type {[Kind, string, RegExp][]} */
const BEGINNINGS = [
  ['image', 'image/jpeg', /^\xff\xd8\xff/],
  ['image', 'image/png', /^\x89PNG\r\n/],
  ['image', 'image/gif', /^GIF8/],
  ['image', 'image/webp', /^RIFF.{4}WEBP/s],
  ['photo', 'image/heic', /^\0\0.{2}ftyp(hei|hev|mif1|msf1|avi[fs])/s],
  ['audio', 'audio/mpeg', /^(ID3|\xff[\xe2-\xe7\xf2-\xf7\xfa-\xfd])/],
  ['audio', 'audio/aac', /^\xff[\xf0\xf1\xf8\xf9]/],
  ['audio', 'audio/ogg', /^OggS/],
  ['audio', 'audio/wav', /^RIFF.{4}WAVE/s],
  ['audio', 'audio/amr', /^#!AMR/],
  ['audio', 'audio/mp4', /^\0\0.{2}ftypM4[AB]/s],
  // The server determines whether these are sound or video.
  ['file', '', /^(.{4}ftyp|.{4}(moov|mdat|wide|free|skip)|\x1a\x45\xdf\xa3)/s],
  ['file', '', /^(PK\x03\x04|PK\x05\x06|\xd0\xcf\x11\xe0|\xff\xfe|\xfe\xff)/],
  ['file', 'application/pdf', /%PDF-/],
  ['script', '', /^(#!|<\?php)/],
  ['file', '', /^[^\0-\x08\x0e-\x1a\x1c-\x1f]*$/], // a text file
  ['program', '', /^(MZ|\x7fELF|[\xce\xcf]\xfa\xed\xfe|\xca\xfe\xba\xbe)/],
  ['archive', '', /^(Rar!|7z\xbc\xaf|\x1f\x8b|BZh|\xfd7zXZ)/],
  ['video', '', /^(RIFF.{4}AVI |FLV\x01|\x30\x26\xb2\x75|\0\0\x01[\xb3\xba])/s],
];
// biome-ignore-end lint/suspicious/noControlCharactersInRegex: files begin with them

/** Determines a file's kind from its content: its name, and the media type given by the browser, may be missing or wrong. @param {File} file */
async function classify(file) {
  const head = String.fromCharCode(...new Uint8Array(await file.slice(0, 1024 + 5).arrayBuffer()));
  const [kind, mime] = BEGINNINGS.find(([, , pattern]) => pattern.test(head)) ?? /** @type {const} */ (['unknown', '']);
  return { kind, mime };
}

/** Checks and prepares a file for sending. Throws Unfit. @param {File} file @returns {Promise<Attachment>} */
export async function prepare(file) {
  if (file.size === 0) throw new Unfit('empty', { name: file.name });
  const { kind, mime } = await classify(file).catch(() => { throw new Unfit('unreadable', { name: file.name }); });
  const name = file.name || t(kind === 'image' ? 'talk.picture' : 'talk.file');
  const blob = mime && mime !== file.type ? file.slice(0, file.size, mime) : file;
  const ready = kind === 'audio' || kind === 'file' ? { type: kind, blob, name } : { blob, name, ...await fit(blob, kind, name) };
  const max = LIMITS[ready.type];
  if (ready.blob.size > max) throw new Unfit('size', { name: ready.name, max: size(max) });
  return { ...ready, size: ready.blob.size };
}

/** Decodes a picture; throws if this browser cannot. @param {Blob} blob */
async function decode(blob) {
  try {
    return await createImageBitmap(blob, { imageOrientation: 'from-image' });
  } catch { // Safari decodes some formats only in <img>
    const src = URL.createObjectURL(blob);
    try {
      const picture = make('img', { src });
      await picture.decode();
      return await createImageBitmap(picture);
    } finally {
      URL.revokeObjectURL(src);
    }
  }
}

/**
 * Shrinks a picture that is larger than screens, and converts formats that not every browser shows to JPEG. Animations are kept.
 * @param {Blob} file
 * @param {Kind} kind
 * @param {string} name
 * @returns {Promise<Pick<Attachment, 'type' | 'width' | 'height'> & {blob?: Blob, name?: string}>}
 */
async function fit(file, kind, name) {
  let bitmap;
  try {
    bitmap = await decode(file);
  } catch {
    if (kind === 'image') return { type: 'image' }; // the server may know the format; if not, it refuses the file
    if (kind === 'photo') return { type: 'file' };
    throw new Unfit('type', { name, found: kind });
  }
  const { width, height } = bitmap;
  const scale = Math.min(1, LONGEST_SIDE / Math.max(width, height));
  const fine = kind === 'image' && scale === 1 && file.size <= (file.type === 'image/jpeg' ? LARGE : LIMITS.image);
  if (fine || (file.type === 'image/gif' && file.size <= LIMITS.image)) {
    bitmap.close();
    return { type: 'image', width, height };
  }
  const canvas = document.createElement('canvas');
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.max(1, Math.round(height * scale));
  const paint = /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d'));
  paint.fillStyle = '#fff'; // JPEG has no transparency
  paint.fillRect(0, 0, canvas.width, canvas.height);
  paint.imageSmoothingQuality = 'high';
  paint.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  const blob = await /** @type {Promise<Blob | null>} */ (new Promise((resolve) => { canvas.toBlob(resolve, 'image/jpeg', 0.86); }));
  if (!blob) return kind === 'image' ? { type: 'image', width, height } : { type: 'file' };
  return { type: 'image', blob, width: canvas.width, height: canvas.height, name: `${name.replace(/\.[^.]*$/, '')}.jpg` };
}
