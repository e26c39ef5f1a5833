// Files of messages in the outbox, kept in IndexedDB (localStorage cannot hold them) so that they survive a reload. Where it is
// not available (private windows), they are kept in memory.

const NAME = 'sohbet';
const STORE = 'files';

/** @type {Map<string, Blob>} */
const memory = new Map();
/** @type {Map<string, string>} */
const addresses = new Map();
/** @type {Promise<IDBDatabase | null> | null} */
let opening = null;

function database() {
  opening ??= new Promise((resolve) => {
    /** @type {IDBOpenDBRequest} */
    let request;
    try {
      request = indexedDB.open(NAME, 1);
    } catch {
      resolve(null);
      return;
    }
    request.onupgradeneeded = () => request.result.createObjectStore(STORE);
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => resolve(null);
    request.onblocked = () => resolve(null);
  });
  return opening;
}

/**
 * @template T
 * @param {IDBTransactionMode} mode
 * @param {(files: IDBObjectStore) => IDBRequest<T>} act
 * @returns {Promise<T | undefined>}
 */
async function run(mode, act) {
  const db = await database();
  if (!db) return undefined;
  return new Promise((resolve, reject) => {
    const work = db.transaction(STORE, mode);
    const request = act(work.objectStore(STORE));
    work.oncomplete = () => resolve(request.result);
    work.onerror = () => reject(work.error);
    work.onabort = () => reject(work.error);
  });
}

/** Stores a file under the client_id of its message. @param {string} id @param {Blob} blob */
export async function keep(id, blob) {
  memory.set(id, blob);
  try { await run('readwrite', (files) => files.put(blob, id)); } catch { /* the disk is full: it is kept in memory */ }
}

/** @param {string} id @returns {Promise<Blob|undefined>} */
export async function find(id) {
  if (memory.has(id)) return memory.get(id);
  try { return await run('readonly', (files) => files.get(id)); } catch { return undefined; }
}

/** @param {string} id */
export async function forget(id) {
  memory.delete(id);
  try { await run('readwrite', (files) => files.delete(id)); } catch { /* the storage is no longer available */ }
}

/** A blob: URL of the file, valid while the page is open; undefined if the file is not stored here. @param {string} id */
export async function address(id) {
  if (!addresses.has(id)) {
    const blob = await find(id);
    if (blob && !addresses.has(id)) addresses.set(id, URL.createObjectURL(blob));
  }
  return addresses.get(id);
}

/** The same, synchronously, for a file that was stored since the page was loaded. @param {string} id */
export function addressNow(id) {
  const blob = memory.get(id);
  if (!addresses.has(id) && blob) addresses.set(id, URL.createObjectURL(blob));
  return addresses.get(id);
}
