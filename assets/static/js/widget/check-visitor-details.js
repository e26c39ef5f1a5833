// Checks the details that a site passes to identify(). Invalid ones are cut or left out instead of refused, because the visitor
// cannot correct them and must still be able to write.
const MOST = /** @type {const} */ ({ name: 100, email: 254, phone: 20 }); // characters, as the server counts them

/**
 * Open pages of other builds call this by its name too (see assets/build/lazy_chunks.go).
 * @param {GivenPerson} who
 * @param {(line: string) => void} warn gets a line for each detail that was changed
 * @returns {Person} the details that the server will accept
 */
export function factsOf(who, warn) {
  /** @type {Person} */
  const details = { id: who.id, hash: who.hash };
  for (const field of /** @type {(keyof typeof MOST)[]} */ (Object.keys(MOST))) {
    const given = who[field] ?? '';
    const text = /^(string|number)$/.test(typeof given) ? String(given).replace(/[\0\s]+/g, ' ').trim() : '';
    const letters = [...text];
    if (field === 'name') details.name = letters.slice(0, MOST.name).join('');
    else if (letters.length <= MOST[field] && (field !== 'email' || /^[^\s@]{1,64}@[^\s@]+\.[^\s@.]+$/.test(text))) details[field] = text;
    if ((details[field] ?? '') !== text || (given && !text)) warn(`identify: ${field} is ${details[field] ? `cut to ${MOST[field]} characters` : 'left out: it is none, or too long'}`);
  }
  return details;
}
