// The service worker of this site. A page may load no script from a string (require-trusted-types-for), so the one policy that it
// may make knows one address, whatever it is asked for.
export async function worker() {
  if (!navigator.serviceWorker) return null; // opened by plain http, or switched off
  const address = window.trustedTypes?.createPolicy('sohbet-worker', { createScriptURL: () => '/sw.js' }).createScriptURL('') ?? '/sw.js';
  return navigator.serviceWorker.register(address, { scope: '/' }).catch(() => null); // the page works without
}
