// Registers the service worker. Trusted Types forbid script URLs from strings (require-trusted-types-for), and the only allowed
// policy returns one fixed address for any input.
/** @type {Promise<ServiceWorkerRegistration | null> | null} */
let registered = null;

/** Registers the service worker, once. Resolves with the registration, or null if it is not possible; the page works without. */
export function worker() {
  registered ??= register().catch(() => null);
  return registered;
}

async function register() {
  if (!navigator.serviceWorker) return null; // opened by plain HTTP, or disabled
  const address = window.trustedTypes?.createPolicy('sohbet-worker', { createScriptURL: () => 'sw.js' }).createScriptURL('') ?? 'sw.js';
  return await navigator.serviceWorker.register(address, { scope: './' }) ?? null;
}
