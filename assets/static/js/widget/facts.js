// Checks the details that a site passes to identify(). Invalid ones are cut or left out instead of refused, because the visitor
// cannot correct them and must still be able to write.
const MOST = { name: 100, email: 254, phone: 20 }; // characters, as the server counts them

/**
 * @returns {{id, hash, name, email, phone}} the details that the server will accept; `warn` gets a line for each one that was changed.
 */
export function factsOf(who, warn) {
  const facts = { id: who.id, hash: who.hash };
  for (const fact of Object.keys(MOST)) {
    const given = who[fact] ?? '';
    const text = /^(string|number)$/.test(typeof given) ? String(given).replace(/[\0\s]+/g, ' ').trim() : '';
    const letters = [...text];
    if (fact === 'name') facts.name = letters.slice(0, MOST.name).join('');
    else if (letters.length <= MOST[fact] && (fact === 'phone' || /^[^\s@]{1,64}@[^\s@]+\.[^\s@.]+$/.test(text))) facts[fact] = text;
    if ((facts[fact] ?? '') !== text || (given && !text)) warn(`identify: ${fact} is ${facts[fact] ? `cut to ${MOST[fact]} characters` : 'left out: it is none, or too long'}`);
  }
  return facts;
}
