// Web Push: the browser's own service wakes our service worker when a visitor writes and no console is looked at.
import { get, post } from '../lib/api.js';
import { lang } from '../lib/i18n.js';

const able = () => 'serviceWorker' in navigator && 'PushManager' in window;

async function worker() {
  if (!able()) return null;
  const found = await navigator.serviceWorker.getRegistration('/');
  return found ? navigator.serviceWorker.ready : null;
}

/** Whether this browser gets pushes of ours. */
export async function joined() {
  return Boolean(await (await worker())?.pushManager.getSubscription());
}

/** Subscribes this browser. @returns {Promise<boolean>} false where it cannot be done */
export async function join() {
  const registration = await worker();
  if (!registration) return false;
  const { key } = await get('/api/push/key');
  const subscription = await registration.pushManager.getSubscription()
    ?? await registration.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: key });
  const { endpoint, keys } = subscription.toJSON();
  await post('/api/push/subscribe', { endpoint, keys, locale: lang });
  return true;
}

/** Ends it, here and at the server. */
export async function leave() {
  const subscription = await (await worker())?.pushManager.getSubscription();
  if (!subscription) return;
  const { endpoint } = subscription;
  await subscription.unsubscribe();
  await post('/api/push/unsubscribe', { endpoint });
}
