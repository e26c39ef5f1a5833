// A push that was pressed leads to its conversation. Neither the push service nor the browser's store of notifications is told which
// that is: a push has a tag, made of the id by the server (topicOf in server/push), and the console knows the ids.

const PATIENCE = 10_000; // ms that a conversation may take to be known

async function tagOf(id) {
  const sum = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(`sohbet push topic\n${id}`));
  return Array.from(new Uint8Array(sum, 0, 16), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** Resolves with the id of the conversation whose pushes have this tag; null when there is none of it. */
export async function find(threads, tag) {
  const seen = new Set();
  for (const end = Date.now() + PATIENCE; ;) {
    for (const id of threads.known) {
      if (seen.has(id)) continue;
      seen.add(id);
      if (await tagOf(id) === tag) return id;
    }
    if (Date.now() > end) return null;
    // A console that has just been opened, or woke up, is about to hear of it.
    await new Promise((resolve) => {
      const timer = setTimeout(resolve, 1_000);
      threads.addEventListener('change', () => { clearTimeout(timer); resolve(); }, { once: true });
    });
  }
}
