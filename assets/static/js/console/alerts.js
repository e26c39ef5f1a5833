// Alerts for new messages: a desktop notification or a sound, or push notifications while no console is open. Each is off until
// the agent switches it on; no permission is requested when the page loads.
import { byId } from '../lib/dom.js';
import { t } from '../lib/i18n.js';
import { FILE_TEXTS } from '../lib/message-entry.js';
import { canRing, ring } from '../lib/notification-sound.js';
import * as push from './push-subscription.js';
/** @import { BrowserStorage } from '../lib/browser-storage.js' */
/** @import { Kept } from '../console.js' */
/** @import { ThreadStore } from './thread-store.js' */

const LONGEST = 140;

const canNotify = () => typeof Notification === 'function';

/**
 * @param {BrowserStorage<Kept>} store
 * @param {ThreadStore} threads
 * @param {(id: string) => void} open opens a conversation
 * @param {(text: string) => void} say
 */
export function alerts(store, threads, open, say) {
  const bell = byId('notify');
  const sound = byId('sound');
  let pushed = false; // this browser is subscribed to pushes

  const on = () => canNotify() && Notification.permission === 'granted' && store.get('notify') === true;

  /** Subscribes to pushes; without them there are still notifications while a console is open. */
  async function join() { pushed = await push.join().catch(() => false); }

  function show() {
    bell.hidden = !canNotify();
    bell.setAttribute('aria-checked', String(on()));
    sound.hidden = !canRing();
    sound.setAttribute('aria-checked', String(store.get('sound') === true));
  }

  bell.addEventListener('click', async () => {
    if (on()) {
      store.set('notify', false);
      show();
      pushed = false;
      await push.leave().catch(() => { /* the server deletes the subscription when a push is refused */ });
      return;
    }
    const answer = await Notification.requestPermission();
    if (answer !== 'granted') {
      say(t('console.notify_denied'));
      return;
    }
    store.set('notify', true);
    show();
    await join();
  });
  sound.addEventListener('click', () => {
    store.set('sound', store.get('sound') !== true);
    show();
    if (store.get('sound')) ring({ sample: true });
  });
  show();
  if (on()) join();
  // A push notification was clicked (sw.js).
  navigator.serviceWorker?.addEventListener('message', async ({ data }) => {
    if (typeof data?.pressed !== 'string') return;
    const id = await import('./push-click.js').then(({ find }) => find(threads, data.pressed), () => null); // the console has been brought to the front anyway
    if (id) open(id);
  });

  /**
   * Alerts the agent to a visitor's message, or to what another agent did; `watched`: it is visible in this console.
   * @param {{thread_id: string, content_text: string, content_type: Protocol.ContentType}} message @param {string} name @param {boolean} watched
   */
  return function told(message, name, watched) {
    if (watched) return;
    if (store.get('sound')) ring();
    if (!document.hidden || !on() || pushed) return; // a push notification is shown instead
    const kind = FILE_TEXTS[message.content_type];
    const text = message.content_text || (kind ? t(kind) : '');
    try {
      const note = new Notification(name, { body: text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text, tag: `sohbet-${message.thread_id}`, icon: './favicon.svg' });
      note.addEventListener('click', () => {
        window.focus();
        note.close();
        open(message.thread_id);
      });
    } catch { /* on phones only service workers can show notifications */ }
  };
}
