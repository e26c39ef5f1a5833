// Message text: its length, links in it, and whether it consists of emoji.
import { make } from './dom.js';

/** The maximum length of a message, in code points. */
export const LONGEST = 10_000;

/** Length in code points, as the server counts. @param {string} text */
export function runes(text) {
  let n = 0;
  for (const _ of text) n++;
  return n;
}

// Rendering must take time linear in the message's length: WORD splits it into words in one pass, each word is examined once, and
// what is matched beyond a word is skipped or bounded. No expression repeats a group of unbounded length.
const WORD = /(https?:\/\/[^\s<>"'`]+)|(?:mailto:)?[\p{L}\p{N}@._%+-]+/giu;
const REST = /(?::\d{2,5}(?!\d))?(?:[/?#][^\s<>"'`]*)?/uy;
const PHONE = /(?:\+\d(?:[ ().-]{0,2}\d){7,14}|0 ?\(?[2-9]\d\d\)?[ .-]?\d{3}(?:[ .-]?\d\d){2})(?!\d)/y;
const MAIL_OR_HOST = /^(?:(?:mailto:)?([^@]+)@)?([\p{L}\p{N}.-]{1,253})$/iu;
const TOP = /\.\p{L}{2,24}$/u;
// Host names without scheme become links only with these top-level domains: "tamam.teşekkürler" and "rapor.pdf" are not links.
const ENDS = /\.(?:com|net|org|info|biz|edu|gov|io|dev|app|shop|store|online|site|xyz|me|co|tv|tr|de|uk|eu|nl|fr|at|ch|az)$/i;
const MOST_LINKS = 100; // per message, because elements cost more than text

/** An address without trailing punctuation; a closing bracket is kept if there is an opening one inside. @param {string} address */
function trimmed(address) {
  let open = address.split('(').length - address.split(')').length;
  let end = address.length;
  while (end > 0 && (address[end - 1] === ')' ? open++ < 0 : '.,;:!?]}»”’…'.includes(address[end - 1]))) end--;
  return address.slice(0, end);
}

/**
 * The link that begins at a word, if any: [the text it was read from, a function from the shown text to the href].
 * @param {string} text
 * @param {RegExpExecArray} found
 * @returns {[string, (shown: string) => string | null] | null}
 */
function link(text, { 0: word, 1: web, index }) {
  // RFC 1035 §2.3.4 limits host names to 253 characters; browsers convert an international one in time quadratic in its length.
  if (web) return /^.{8}[^/?#]{253}/u.test(web) ? null : [web, safeURL];
  const name = trimmed(word);
  const [, local, host] = MAIL_OR_HOST.exec(name) ?? [];
  if (host && !/^[.-]|\.[.-]|-\./.test(host) && (local || /^www\.[^.]+\./i.test(host) ? TOP : ENDS).test(host)) {
    if (local) return [name, () => `mailto:${encodeURI(`${local}@${host}`)}`];
    REST.lastIndex = index + name.length;
    return [name + REST.exec(text), (shown) => safeURL(`https://${shown}`)];
  }
  PHONE.lastIndex = index;
  const phone = PHONE.exec(text);
  return phone && [phone[0], (shown) => `tel:${shown.replace(/[^\d+]/g, '')}`];
}

/** Text as nodes, in which web addresses, mail addresses and phone numbers are links. @param {string} text @returns {(Node | string)[]} */
export function linked(text) {
  const nodes = [];
  let from = 0;
  WORD.lastIndex = 0;
  while (nodes.length < 2 * MOST_LINKS) {
    const found = WORD.exec(text);
    if (!found) break;
    const { index } = found;
    const [read, address] = (text[index - 1] !== '/' && link(text, found)) || ['', String];
    WORD.lastIndex = Math.max(WORD.lastIndex, index + read.length);
    const shown = trimmed(read);
    const href = address(shown);
    if (!href) continue;
    const outside = href.startsWith('http') && { target: '_blank', rel: 'noopener noreferrer nofollow' };
    nodes.push(text.slice(from, index), make('a', { href, ...outside }, shown));
    from = index + shown.length;
  }
  nodes.push(text.slice(from));
  return nodes;
}

const EMOJI = /(?:\p{Regional_Indicator}{2}|[#*\d]\uFE0F?\u20E3|\p{Emoji_Presentation}|\p{Extended_Pictographic}\uFE0F|\p{Emoji_Modifier_Base})(?:\u200D\p{Extended_Pictographic}|[\uFE0F\p{Emoji_Modifier}\u{E0020}-\u{E007F}])*/gu;
const FEW = 6;

/** Whether a message consists only of a few emoji; such messages are shown large. @param {string} text */
export function emojiOnly(text) {
  if (text.length > 90) return false;
  let n = 0;
  const rest = text.replace(EMOJI, () => { n++; return ''; });
  return n > 0 && n <= FEW && !rest.trim();
}

/** The address as a URL if its scheme is http or https, otherwise null. @param {string} address */
export function safeURL(address) {
  try {
    const url = new URL(address, location.origin);
    return /^https?:$/.test(url.protocol) ? url.href : null;
  } catch {
    return null;
  }
}
