// Subscribes this browser to Web Push, by which the service worker shows notifications while no console is visible.
import { get, post } from '../lib/api.js';
import { lang } from '../lib/i18n.js';
import { worker } from '../lib/register-service-worker.js';

/** @type {Promise<ServiceWorkerRegistration | null> | null} */
let asked = null;

/** The registration of our service worker, once active; null if there is none. */
function registration() {
  if (!('PushManager' in window)) return Promise.resolve(null);
  asked ??= worker().then((found) => (found ? navigator.serviceWorker.ready : null));
  return asked;
}

/**
 * Subscribes this browser, or sends its existing subscription again, because the server deletes it when the session ends.
 * @returns {Promise<boolean>} false if that is not possible
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

/** Unsubscribes, in this browser and at the server. */
export async function leave() {
  const subscription = await (await registration())?.pushManager.getSubscription();
  if (!subscription) return;
  const { endpoint } = subscription;
  await subscription.unsubscribe();
  await post('api/push/unsubscribe', { endpoint });
}
