// The entries of a conversation's list (message-list.js): what they consist of, their order, and how they are made from messages and unsent
// items.
import { addressNow } from './blob-store.js';
import { parse } from './format-time.js';
/** @import { Item } from './outbox.js' */

const GROUP = 2 * 60_000;

/** The texts that stand for a file without a caption. @type {Lookup<string>} */
export const FILE_TEXTS = { image: 'talk.picture', audio: 'talk.voice', file: 'talk.file' };

/**
 * Stored messages have an id and are ordered by it; unsent ones follow after them, ordered by n. What a page inserts itself, such as a note,
 * has a key, follows the message with the id `after`, makes its own element, and has no content.
 * @typedef {object} Entry
 * @property {number} id 0: not stored
 * @property {string} clientID
 * @property {number} n
 * @property {boolean} own of this side
 * @property {boolean} system
 * @property {string} text
 * @property {Protocol.ContentType} type
 * @property {string} url of the stored file; '' for none
 * @property {{name?: string, bytes?: number, thumb?: string, width?: number, height?: number}} file as far as known
 * @property {string} [preview] a blob: URL of a file that this page has itself
 * @property {number} [share] of the file that is uploaded, 0 to 1
 * @property {Date} at
 * @property {Protocol.AgentReference | Protocol.Time} [edited] who edited it or, if unknown, when
 * @property {Protocol.AgentReference | null} [by] the agent who wrote it, if known
 * @property {string} [reaction]
 * @property {number} [rev] the thread's revision at the last edit or reaction
 * @property {'' | 'waiting' | 'sending' | 'failed' | 'sent' | 'delivered' | 'read'} state of an own message
 * @property {string} [code] of the error, if failed
 * @property {Node | null} [below] a node below the message
 * @property {HTMLElement | null} node while the entry is rendered (see virtual-scrolling.js)
 * @property {string} [key]
 * @property {number} [after]
 * @property {() => HTMLElement} [draw]
 */

/**
 * What an element of an entry can do.
 * @typedef {object} Actions
 * @property {(entry: Entry) => Node} face returns the other side's face
 * @property {() => void} onRetry sends a failed message again
 * @property {() => void} onDrop
 * @property {(entry: Entry) => Node | string} marks returns what is shown before the time
 * @property {(entry: Entry) => Node[]} tools returns the buttons next to a stored message
 */

/** @param {Entry} e */
const place = (e) => e.id || (e.key ? e.after ?? 0 : Infinity);

/** The order of two entries, negative if a comes first. @param {Entry} a @param {Entry} b */
export const compare = (a, b) => {
  const [x, y] = [place(a), place(b)];
  return x === y ? a.n - b.n : x - y;
};

/** Whether b continues a's group. @param {Entry} a @param {Entry} b */
export const together = (a, b) => a.own === b.own && a.by?.id === b.by?.id && !a.system && !b.system && Math.abs(+b.at - +a.at) < GROUP;

/** @param {Protocol.Message} message @param {boolean} own @param {Entry['state']} state @returns {Entry} */
export const entryOf = (message, own, state) => ({
  id: message.id, clientID: message.client_id, n: 0, own, system: message.sender_type === 'system',
  text: message.content_text, type: message.content_type, url: message.file_url,
  file: { name: message.file_name, bytes: message.file_size, thumb: message.thumb_url, width: message.width, height: message.height },
  at: parse(message.created_at) ?? new Date(), edited: message.edited_by ?? message.edited_at, reaction: message.reaction, rev: message.rev, by: message.agent, state, node: null,
});

/** @param {Item} item @param {Entry['state']} state @param {string | undefined} code @param {Protocol.AgentReference | null | undefined} by @returns {Entry} */
export const entryOfItem = (item, state, code, by) => ({
  id: 0, clientID: item.client_id, n: item.n, own: true, system: false, text: item.text, type: item.type ?? 'text', url: item.url ?? '',
  file: fileOf(item), preview: item.file && addressNow(item.client_id), at: new Date(item.n / 1000), by, state, code, node: null,
});

/** @param {Item} item */
function fileOf({ file }) {
  return file ? { name: file.name, bytes: file.size, width: file.width, height: file.height } : {};
}
