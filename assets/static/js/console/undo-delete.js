// Deleting with undo: the conversation disappears at once, but the request is sent only after eight seconds or when the page is
// left.
import { post } from '../lib/api.js';
import { byId, icon, make } from '../lib/dom.js';
import { t } from '../lib/i18n.js';

const GRACE = 8_000;

/**
 * A deletion that can be undone.
 * @typedef {object} Pending
 * @property {string} id
 * @property {HTMLElement} bar
 * @property {number} timer 0: paused, sent or failed
 * @property {number} since when the timer was started
 * @property {number} left ms until it is sent
 * @property {boolean} sent
 * @property {boolean} failed
 */

/**
 * @param {object} o
 * @param {(id: string) => string} o.name
 * @param {(id: string) => void} o.hide hides the conversation
 * @param {(id: string) => void} o.bring shows it again
 * @param {(id: string) => void} o.gone called when it has been deleted
 * @param {(error: unknown) => string} o.why returns the text for an error
 */
export function undoableDelete({ name, hide, bring, gone, why }) {
  const place = byId('undo');
  /** @type {Map<string, Pending>} */
  const waiting = new Map(); // by conversation, oldest first

  /** @param {Pending} one @param {{keepalive?: boolean}} how */
  async function send(one, how = {}) {
    const { id } = one;
    clearTimeout(one.timer);
    one.timer = 0;
    one.sent = true;
    try {
      await post('api/threads/delete', { thread_id: id }, how);
      ended(one);
    } catch (error) {
      if (waiting.get(id) !== one) return; // its deletion was received as an event meanwhile
      if (/** @type {Failure} */ (error).status === 404) { // another agent has deleted it
        ended(one);
        return;
      }
      one.sent = false;
      bring(id);
      one.bar.replaceChildren(icon('alert'), make('p', {}, why(error)), make('button', { type: 'button', className: 'text', onclick: () => close(id) }, t('common.close')));
      one.failed = true;
    }
  }

  /** The conversation is deleted. If an event said so earlier, the visitor may have started it again since, and it must stay. @param {Pending} one */
  function ended(one) {
    if (waiting.get(one.id) !== one) return;
    close(one.id);
    gone(one.id);
  }

  /** @param {string} id */
  function close(id) {
    const one = waiting.get(id);
    if (!one) return;
    clearTimeout(one.timer);
    waiting.delete(id);
    one.bar.remove();
  }

  /** @param {string} id */
  function undo(id) {
    if (waiting.get(id)?.sent) return;
    close(id);
    bring(id);
  }

  /** @param {Pending} one */
  function count(one) {
    one.timer = setTimeout(() => send(one), Math.max(0, one.left));
    one.since = Date.now();
  }

  /** Deletes a conversation. @param {string} id */
  function remove(id) {
    if (waiting.has(id)) return;
    const bar = make('div', { className: 'undo-bar' }, make('p', { attrs: { dir: 'auto' } }, t('console.deleted', { name: name(id) })),
      make('button', { type: 'button', className: 'text', onclick: () => undo(id) }, t('console.undo')));
    const one = { id, bar, timer: 0, since: 0, left: GRACE, sent: false, failed: false };
    // The timer is paused while the pointer or the focus is on the bar.
    const hold = () => {
      if (!one.timer) return;
      clearTimeout(one.timer);
      one.timer = 0;
      one.left -= Date.now() - one.since;
    };
    const go = () => { if (!one.timer && !one.sent && !one.failed && waiting.has(id) && !bar.matches(':hover, :focus-within')) count(one); };
    bar.addEventListener('pointerenter', hold);
    bar.addEventListener('focusin', hold);
    bar.addEventListener('pointerleave', go);
    bar.addEventListener('focusout', () => setTimeout(go));
    waiting.set(id, one);
    place.append(bar);
    hide(id);
    count(one);
  }

  // Pending deletions are sent when the page is left.
  window.addEventListener('pagehide', () => { for (const one of waiting.values()) if (!one.sent && !one.failed) send(one, { keepalive: true }); });

  return {
    remove,
    /** Restores the conversation that was deleted last; returns its id, or null if there is none. */
    undoLast() {
      const last = [...waiting.values()].findLast((one) => !one.sent && !one.failed);
      if (last) undo(last.id);
      return last?.id ?? null;
    },
    /** Undoes the deletion because the visitor has written again: an unread message must not be deleted. */
    keep: (/** @type {string} */ id) => { if (waiting.has(id)) undo(id); },
    /** Removes the bar because another agent deleted the conversation. */
    forget: close,
  };
}
