// The service worker of this site. A page may load no script from a string (require-trusted-types-for), so the one policy that it
// may make knows one address, whatever it is asked for.
let registered = null;

/** Registers it, once. Resolves with the registration, or null where there can be none: the page works without. */
export function worker() {
  registered ??= register().catch(() => null);
  return registered;
}

async function register() {
  if (!navigator.serviceWorker) return null; // opened by plain http, or switched off
  const address = window.trustedTypes?.createPolicy('sohbet-worker', { createScriptURL: () => 'sw.js' }).createScriptURL('') ?? 'sw.js';
  return await navigator.serviceWorker.register(address, { scope: './' }) ?? null;
}
