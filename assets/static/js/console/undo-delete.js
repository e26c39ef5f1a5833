// Deleting with undo: the conversation disappears at once, but the request is sent only after eight seconds or when the page is
// left.
import { post } from '../lib/api.js';
import { byId, icon, make } from '../lib/dom.js';
import { t } from '../lib/i18n.js';

const GRACE = 8_000;

/**
 * @param {object} o
 * @param {(id: string) => string} o.name
 * @param {(id: string) => void} o.hide hides the conversation
 * @param {(id: string) => void} o.bring shows it again
 * @param {(id: string) => void} o.gone called when it has been deleted
 * @param {(error) => string} o.why returns the text for an error
 */
export function undoableDelete({ name, hide, bring, gone, why }) {
  const place = byId('undo');
  const waiting = new Map(); // by conversation, oldest first

  async function send(id, how) {
    const one = waiting.get(id);
    clearTimeout(one.timer);
    one.timer = 0;
    one.sent = true;
    try {
      await post('api/threads/delete', { thread_id: id }, how);
      ended(one);
    } catch (error) {
      if (waiting.get(id) !== one) return; // its deletion was received as an event meanwhile
      if (error.status === 404) { // another agent has deleted it
        ended(one);
        return;
      }
      one.sent = false;
      bring(id);
      one.bar.replaceChildren(icon('alert'), make('p', {}, why(error)), make('button', { type: 'button', className: 'text', onclick: () => close(id) }, t('common.close')));
      one.failed = true;
    }
  }

  /** The conversation is deleted. If an event said so earlier, the visitor may have started it again since, and it must stay. */
  function ended(one) {
    if (waiting.get(one.id) !== one) return;
    close(one.id);
    gone(one.id);
  }

  function close(id) {
    const one = waiting.get(id);
    if (!one) return;
    clearTimeout(one.timer);
    waiting.delete(id);
    one.bar.remove();
  }

  function undo(id) {
    if (waiting.get(id)?.sent) return;
    close(id);
    bring(id);
  }

  function count(one) {
    one.timer = setTimeout(() => send(one.id), Math.max(0, one.left));
    one.since = Date.now();
  }

  /** Deletes a conversation. */
  function remove(id) {
    if (waiting.has(id)) return;
    const one = { id, left: GRACE, sent: false };
    one.bar = make('div', { className: 'undo-bar' }, make('p', { attrs: { dir: 'auto' } }, t('console.deleted', { name: name(id) })),
      make('button', { type: 'button', className: 'text', onclick: () => undo(id) }, t('console.undo')));
    // The timer is paused while the pointer or the focus is on the bar.
    const hold = () => {
      if (!one.timer) return;
      clearTimeout(one.timer);
      one.timer = 0;
      one.left -= Date.now() - one.since;
    };
    const go = () => { if (!one.timer && !one.sent && !one.failed && waiting.has(id) && !one.bar.matches(':hover, :focus-within')) count(one); };
    one.bar.addEventListener('pointerenter', hold);
    one.bar.addEventListener('focusin', hold);
    one.bar.addEventListener('pointerleave', go);
    one.bar.addEventListener('focusout', () => setTimeout(go));
    waiting.set(id, one);
    place.append(one.bar);
    hide(id);
    count(one);
  }

  // Pending deletions are sent when the page is left.
  window.addEventListener('pagehide', () => { for (const one of waiting.values()) if (!one.sent && !one.failed) send(one.id, { keepalive: true }); });

  return {
    remove,
    /** Restores the conversation that was deleted last; returns its id, or null if there is none. */
    undoLast() {
      const last = [...waiting.values()].findLast((one) => !one.sent && !one.failed);
      if (last) undo(last.id);
      return last?.id ?? null;
    },
    /** Undoes the deletion because the visitor has written again: an unread message must not be deleted. */
    keep: (id) => { if (waiting.has(id)) undo(id); },
    /** Removes the bar because another agent deleted the conversation. */
    forget: close,
  };
}
