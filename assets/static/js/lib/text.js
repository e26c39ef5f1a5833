// Measuring and showing what people typed.
import { make } from './dom.js';

/** The longest message the server takes, in code points. */
export const LONGEST = 10_000;

/** Length in code points, as the server counts. */
export function runes(text) {
  let n = 0;
  for (const _ of text) n++;
  return n;
}

// Every part is bounded, and a match begins where a word begins, so that no text, however long, costs more than its length.
const LABEL = '[\\p{L}\\p{N}](?:[\\p{L}\\p{N}-]{0,61}[\\p{L}\\p{N}])?';
// Bare names are taken for addresses only at these ends: "tamam.teşekkürler" and "rapor.pdf" are none.
const ENDS = 'com|net|org|info|biz|edu|gov|io|dev|app|shop|store|online|site|xyz|me|co|tv|tr|de|uk|eu|nl|fr|at|ch|az';
const PATH = '[^\\s<>"\'`]*';
const LINK = new RegExp(`(?<![\\p{L}\\p{N}@._+/-])(?:${[
  `(?<web>https?://[^\\s<>"'\`]+)`,
  `(?<mail>(?:mailto:)?[\\p{L}\\p{N}._%+-]{1,64}@(?:${LABEL}\\.){1,8}\\p{L}{2,24})`,
  `(?<bare>(?:www\\.(?:${LABEL}\\.){1,8}\\p{L}{2,24}|(?:${LABEL}\\.){1,8}(?:${ENDS}))(?![\\p{L}\\p{N}@_-]|\\.[\\p{L}\\p{N}])(?::\\d{2,5})?(?:[/?#]${PATH})?)`,
  `(?<phone>\\+\\d(?:[ ().-]{0,2}\\d){7,14}|0[ ]?\\(?[2-9]\\d{2}\\)?(?:[ .-]?\\d{3})(?:[ .-]?\\d{2}){2})(?!\\d)`,
].join('|')})`, 'giu');
const TAIL = /[.,;:!?\]}»”’…]+$/u;

/** An address without the punctuation of its sentence; a closing bracket stays where an opening one is inside. */
function trimmed(address) {
  for (;;) {
    const short = address.replace(TAIL, '');
    const open = short.endsWith(')') && short.split('(').length < short.split(')').length;
    if (!open && short === address) return short;
    address = open ? short.slice(0, -1) : short;
  }
}

function target({ web, mail, bare, phone }) {
  if (web) return [trimmed(web), safeURL];
  if (bare) return [trimmed(bare), (text) => safeURL(`https://${text}`)];
  if (mail) return [mail, (text) => `mailto:${encodeURI(text.replace(/^mailto:/i, ''))}`];
  return [phone, (text) => `tel:${text.replace(/[^\d+]/g, '')}`];
}

/** Text as nodes, with web and mail addresses and phone numbers made clickable. */
export function linked(text) {
  const nodes = [];
  let from = 0;
  for (const match of text.matchAll(LINK)) {
    const [shown, address] = target(match.groups);
    const href = address(shown);
    if (!href) continue;
    nodes.push(text.slice(from, match.index));
    const outside = href.startsWith('http') && { target: '_blank', rel: 'noopener noreferrer nofollow' };
    nodes.push(make('a', { href, ...outside }, shown));
    from = match.index + shown.length;
  }
  nodes.push(text.slice(from));
  return nodes;
}

const EMOJI = /^(?:(?:\p{Regional_Indicator}{2}|[#*\d]\uFE0F?\u20E3|\p{Emoji_Presentation}|\p{Extended_Pictographic}\uFE0F|\p{Emoji_Modifier_Base})[\p{Emoji_Modifier}\u200D\uFE0F\u{E0020}-\u{E007F}\p{Extended_Pictographic}]*\s*){1,24}$/u;
const FEW = 6;

/** Whether a message is nothing but a few emoji, which are shown large. */
export function emojiOnly(text) {
  if (!text || text.length > 90 || !EMOJI.test(text)) return false;
  if (typeof Intl.Segmenter !== 'function') return text.length < 12;
  return [...new Intl.Segmenter().segment(text.replace(/\s/gu, ''))].length <= FEW;
}

/** The address as a URL when a browser may open it (http, https), else null. */
export function safeURL(address) {
  try {
    const url = new URL(address, location.origin);
    return url.protocol === 'http:' || url.protocol === 'https:' ? url.href : null;
  } catch {
    return null;
  }
}
