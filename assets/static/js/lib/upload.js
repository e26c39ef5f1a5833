// Uploads a file: directly to the file store (Cloudinary) if the server allows it, otherwise through the server.
import { post } from './api.js';
import { address, find, keep } from './blob-store.js';
import { Refused } from './connection.js';
/** @import { Attachment } from './pending-attachments.js' */
/** @import { Item, Outbox } from './outbox.js' */

/** @typedef {{signal: AbortSignal, progress: (share: number) => void}} How */
/** @typedef {{status: number, answer: Partial<Protocol.Uploaded & {code: string}> | null, retryAfter: number}} Outcome */
/** @typedef {Item & Required<Pick<Item, 'file'>>} FileItem */

/** Set when the server has said that files go through it, so that it is not asked again. */
let throughServer = false;

/**
 * Sends a form by XMLHttpRequest, because fetch reports no upload progress. Resolves with {status, answer, retryAfter}; status 0
 * = no response.
 * @param {string} url
 * @param {FormData} form
 * @param {How} how
 * @returns {Promise<Outcome>}
 */
function send(url, form, { signal, progress }) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const stop = () => request.abort();
    const done = (/** @type {Outcome} */ outcome) => {
      signal.removeEventListener('abort', stop);
      resolve(outcome);
    };
    request.upload.addEventListener('progress', (event) => { if (event.lengthComputable) progress(event.loaded / event.total); });
    request.addEventListener('load', () => {
      let answer = null;
      try { answer = JSON.parse(request.responseText); } catch { /* an error page of a proxy */ }
      done({ status: request.status, answer, retryAfter: Number(request.getResponseHeader('Retry-After')) || 0 });
    });
    for (const event of ['error', 'timeout']) request.addEventListener(event, () => done({ status: 0, answer: null, retryAfter: 0 }));
    request.addEventListener('abort', () => reject(new Refused('dropped')));
    if (signal.aborted) { reject(new Refused('dropped')); return; }
    signal.addEventListener('abort', stop);
    request.open('POST', url);
    request.send(form);
  });
}

/** @param {FileItem} item @param {Blob} blob @param {How} how */
async function direct(item, blob, how) {
  if (throughServer || item.type === 'file') return null;
  /** @type {Protocol.Answers['POST /api/upload/sign']} */
  let ticket;
  try { ticket = await post('api/upload/sign', { kind: item.type }); } catch { return null; }
  if (!ticket.direct) {
    throughServer = true;
    return null;
  }
  const form = new FormData();
  for (const [name, value] of Object.entries(ticket.fields)) form.append(name, value);
  form.append('file', blob, item.file.name);
  const { status } = await send(ticket.upload_url, form, how);
  if (status !== 200) return null;
  try { return await post('api/upload/confirm', { id: ticket.id, name: item.file.name }); } catch { return null; }
}

/**
 * Uploads the file of an outbox item and resolves with the server's answer, which has its URL. Throws Refused.
 * @param {FileItem} item
 * @param {How} how
 * @returns {Promise<Pick<Protocol.Uploaded, 'url' | 'content_type'>>}
 */
export async function upload(item, how) {
  const blob = await find(item.client_id);
  if (!blob) throw new Refused('file_lost');
  const straight = await direct(item, blob, how);
  if (straight) return straight;
  const form = new FormData();
  form.append('file', blob, item.file.name);
  const { status, answer, retryAfter } = await send(`api/upload/${item.type}`, form, how);
  if (status === 200 && answer?.url) return /** @type {Protocol.Uploaded} */ (answer);
  const code = answer?.code?.toLowerCase() ?? '';
  if (status === 0) throw new Refused(navigator.onLine ? 'timeout' : 'offline');
  if (status === 429) throw new Refused('rate_limit_exceeded', '', Math.max(retryAfter, 1) * 1000);
  if (status === 507) throw new Refused('no_room');
  if (['invalid_file_type', 'file_too_large', 'no_file'].includes(code)) throw new Refused(code);
  throw new Refused('timeout'); // the file arrived incomplete, or the server is restarting: the outbox tries again
}

/**
 * Puts attachments and text into the outbox; the text becomes the caption of the first attachment.
 * @param {Outbox} outbox @param {string} thread @param {string} text @param {Attachment[]} attachments
 */
export async function sendAll(outbox, thread, text, attachments) {
  if (!attachments.length) {
    outbox.add(thread, text);
    return;
  }
  for (const [i, { type, blob, name, size, width, height }] of attachments.entries()) {
    const item = outbox.prepare(thread, i === 0 ? text : '', { type, file: { name, size, mime: blob.type, width, height } });
    await keep(item.client_id, blob);
    await address(item.client_id);
    outbox.put(item);
  }
}
