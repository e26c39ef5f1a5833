// Finds the conversation of a push notification that was clicked. A push contains no thread id, so that neither the push service
// nor the browser's notifications learn it, but a tag that the server derives from the id (topicOf in server/push). The console
// computes the tags of the ids it knows.

/** @import { ThreadStore } from './thread-store.js' */

const PATIENCE = 10_000; // ms to wait until the console has loaded the conversation

/** @param {string} id */
async function tagOf(id) {
  const sum = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(`sohbet push topic\n${id}`));
  return Array.from(new Uint8Array(sum, 0, 16), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** Resolves with the id of the conversation with this tag; null if there is none. @param {ThreadStore} threads @param {string} tag */
export async function find(threads, tag) {
  const seen = new Set();
  for (const end = Date.now() + PATIENCE; ;) {
    for (const id of threads.known) {
      if (seen.has(id)) continue;
      seen.add(id);
      if (await tagOf(id) === tag) return id;
    }
    if (Date.now() > end) return null;
    // A console that was just opened or resumed may not have loaded it yet.
    await new Promise((/** @type {(changed?: unknown) => void} */ resolve) => {
      const timer = setTimeout(resolve, 1_000);
      threads.addEventListener('change', () => { clearTimeout(timer); resolve(); }, { once: true });
    });
  }
}
