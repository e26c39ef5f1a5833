// Faces of people: pictures or initials.
import { make } from './dom.js';

/** A person's face: the picture or, without one, the initials of the name in a colour derived from the name. @param {string} name */
export function face(name, className = '', picture = '') {
  const letters = make('span', { className: `face tone-${tone(name)} ${className}`.trim(), attrs: { 'aria-hidden': 'true' } }, initials(name));
  if (!picture) return letters;
  const photo = make('img', { className: `face photo ${className}`.trim(), src: picture, alt: '', decoding: 'async' });
  photo.onerror = () => photo.replaceWith(letters);
  return photo;
}

/** An agent's face. @param {Protocol.AgentReference} agent */
export const agentFace = (agent) => face(agent.name, '', agent.avatar_url);

/** Up to two initials, upper case in the page's language (i becomes İ in Turkish). @param {string} name */
export function initials(name) {
  const words = name.trim().split(/\s+/u);
  const first = (/** @type {string | undefined} */ word) => [...(word ?? '')].find((c) => /[\p{L}\p{N}]/u.test(c)) ?? '';
  const letters = words.length > 1 ? first(words[0]) + first(words.at(-1)) : first(words[0]);
  return (letters || '?').toLocaleUpperCase(document.documentElement.lang);
}

/** @param {string} name */
function tone(name) {
  let sum = 0;
  for (const c of name) sum = (sum * 31 + /** @type {number} */ (c.codePointAt(0))) >>> 0;
  return (sum % 6) + 1;
}
