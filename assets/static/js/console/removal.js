// Deleting with a way back: the conversation goes at once, and the server hears of it eight seconds later, or when the page is left.
import { post } from '../lib/api.js';
import { byId, icon, make } from '../lib/dom.js';
import { t } from '../lib/i18n.js';

const GRACE = 8_000;

/**
 * @param {object} o
 * @param {(id: string) => string} o.name
 * @param {(id: string) => void} o.hide takes it out of sight
 * @param {(id: string) => void} o.bring brings it back
 * @param {(id: string) => void} o.gone it is deleted for good
 * @param {(error) => string} o.why says why it could not be deleted
 */
export function removal({ name, hide, bring, gone, why }) {
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
      if (waiting.get(id) !== one) return; // it went, and that was heard
      if (error.status === 404) { // somebody else was quicker
        ended(one);
        return;
      }
      one.sent = false;
      bring(id);
      one.bar.replaceChildren(icon('alert'), make('p', {}, why(error)), make('button', { type: 'button', className: 'text', onclick: () => close(id) }, t('common.close')));
      one.failed = true;
    }
  }

  /** It is deleted. Where that was heard before, its visitor may have opened it again meanwhile, and that one stays. */
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
    // Whoever is about to press the button must not lose the race against the clock.
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

  // The page goes: what was deleted in it stays deleted.
  window.addEventListener('pagehide', () => { for (const one of waiting.values()) if (!one.sent && !one.failed) send(one.id, { keepalive: true }); });

  return {
    remove,
    /** Brings back the conversation that was deleted last; says whether there was one. */
    undoLast() {
      const last = [...waiting.values()].findLast((one) => !one.sent && !one.failed);
      if (last) undo(last.id);
      return last?.id ?? null;
    },
    /** Its visitor has written again: what nobody has read is not deleted. */
    keep: (id) => { if (waiting.has(id)) undo(id); },
    /** Somebody else deleted it meanwhile. */
    forget: close,
  };
}
