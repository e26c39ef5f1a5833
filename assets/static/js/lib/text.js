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

const LINK = /\bhttps?:\/\/[^\s<>"'`]+/giu;
const TAIL = /[.,;:!?)\]}»”’…]+$/u;

/** Text as nodes, with web addresses made clickable. */
export function linked(text) {
  const nodes = [];
  let from = 0;
  for (const match of text.matchAll(LINK)) {
    const address = match[0].replace(TAIL, '');
    if (!safeURL(address)) continue;
    nodes.push(text.slice(from, match.index));
    nodes.push(make('a', { href: address, target: '_blank', rel: 'noopener noreferrer nofollow' }, address));
    from = match.index + address.length;
  }
  nodes.push(text.slice(from));
  return nodes;
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
