// Web Push: the browser's own service wakes our service worker when a visitor writes and no console is looked at.
import { get, post } from '../lib/api.js';
import { lang } from '../lib/i18n.js';
import { worker } from '../lib/worker.js';

let asked = null;

/** Our service worker, once it works; null where there is none. */
function registration() {
  if (!('PushManager' in window)) return Promise.resolve(null);
  asked ??= worker().then((found) => (found ? navigator.serviceWorker.ready : null));
  return asked;
}

/**
 * Subscribes this browser, or tells the server again of the subscription it has: the server forgets it with the session.
 * @returns {Promise<boolean>} false where it cannot be done
 */
export async function join() {
  const ours = await registration();
  if (!ours) return false;
  const { key } = await get('api/push/key');
  const subscription = await ours.pushManager.getSubscription() ?? await ours.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: key });
  const { endpoint, keys } = subscription.toJSON();
  await post('api/push/subscribe', { endpoint, keys, locale: lang });
  return true;
}

/** Ends it, here and at the server. */
export async function leave() {
  const subscription = await (await registration())?.pushManager.getSubscription();
  if (!subscription) return;
  const { endpoint } = subscription;
  await subscription.unsubscribe();
  await post('api/push/unsubscribe', { endpoint });
}
