// The service worker: caches the visitor's page assets, shows the offline page when there is no connection, and shows push
// notifications to agents. It never handles the API, the socket, uploads or the console, and caches no page with a visitor's
// data. The server puts BUILD ({version, base, shell, offline, fallback}) before this file.
const worker = /** @type {ServiceWorkerGlobalScope} */ (/** @type {unknown} */ (self));
const CACHE = `sohbet-${BUILD.version}`;
const APART = /^\/(admin|api|socket\.io|uploads|login|logout|health|metrics|widget)/;
const LANGUAGE = `${BUILD.base}/sw-language`;
const CONSOLE = `${BUILD.base}/admin`;

worker.addEventListener('install', (event) => {
  event.waitUntil((async () => {
    const cache = await caches.open(CACHE);
    // Without cookies: the cache must contain no user's data, and requesting both languages must not set the language cookie.
    await cache.addAll([...BUILD.shell, ...Object.values(BUILD.offline)].map((url) => new Request(url, { credentials: 'omit' })));
    await worker.skipWaiting();
  })());
});

worker.addEventListener('activate', (event) => {
  event.waitUntil((async () => {
    for (const name of await caches.keys()) if (name.startsWith('sohbet-') && name !== CACHE) await caches.delete(name);
    await worker.clients.claim();
  })());
});

worker.addEventListener('fetch', (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method !== 'GET' || url.origin !== location.origin || !url.pathname.startsWith(`${BUILD.base}/`) || APART.test(url.pathname.slice(BUILD.base.length))) return;
  if (request.mode === 'navigate') event.respondWith(navigate(request));
  else if (BUILD.shell.includes(url.pathname + url.search)) event.respondWith(kept(request));
});

/** @param {Request} request */
async function kept(request) {
  const cache = await caches.open(CACHE);
  return (await cache.match(request.url, { ignoreVary: true })) ?? fetch(request);
}

/** @param {Request} request */
async function navigate(request) {
  const cache = await caches.open(CACHE);
  try {
    const response = await fetch(request);
    const lang = response.headers.get('Content-Language');
    if (lang && lang in BUILD.offline) await cache.put(LANGUAGE, new Response(lang));
    return response;
  } catch {
    const last = await (await cache.match(LANGUAGE))?.text();
    const page = await cache.match(BUILD.offline[last ?? ''] ?? BUILD.offline[BUILD.fallback], { ignoreVary: true });
    return page ?? Response.error();
  }
}

// --- pushes, for agents -----------------------------------------------------------------

worker.addEventListener('push', (event) => {
  /** @type {Partial<Protocol.Push>} */
  let told = {};
  try { told = event.data?.json() ?? {}; } catch { /* not JSON */ }
  if (Number.isInteger(told.unread)) event.waitUntil(Promise.resolve(worker.navigator.setAppBadge?.(told.unread)).catch(() => { /* the notification shows it */ }));
  // Browsers require that every push shows a notification.
  event.waitUntil(worker.registration.showNotification(String(told.title || 'Sohbet'), {
    body: String(told.body ?? ''), tag: String(told.tag || 'sohbet'), renotify: true, icon: `${BUILD.base}/icon-192.png`, data: { url: here(told.url) },
  }));
});

/** The path of a push, if it is on this site; otherwise the console's. @param {string | undefined} path */
function here(path) {
  try {
    const url = new URL(path || CONSOLE, location.origin);
    return url.origin === location.origin ? url.pathname + url.search : CONSOLE;
  } catch {
    return CONSOLE;
  }
}

worker.addEventListener('notificationclick', (event) => {
  const { tag, data } = event.notification;
  event.notification.close();
  const url = here(data?.url);
  event.waitUntil((async () => {
    const open = await worker.clients.matchAll({ type: 'window', includeUncontrolled: true });
    const there = open.find((client) => new URL(client.url).pathname === url);
    // The message with the conversation's tag is delivered once the page's scripts have run.
    if (there) there.postMessage({ pressed: tag });
    if (there) await there.focus();
    else (await worker.clients.openWindow(url))?.postMessage({ pressed: tag });
  })());
});
