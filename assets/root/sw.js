// The service worker: caches the visitor's page assets, shows the offline page when there is no connection, and shows push
// notifications to agents. It never handles the API, the socket, uploads or the console, and caches no page with a visitor's
// data. The server puts BUILD ({version, base, shell, offline, fallback}) before this file.
const CACHE = `sohbet-${BUILD.version}`;
const APART = /^\/(admin|api|socket\.io|uploads|login|logout|health|metrics|widget)/;
const LANGUAGE = `${BUILD.base}/sw-language`;
const CONSOLE = `${BUILD.base}/admin`;

self.addEventListener('install', (event) => {
  event.waitUntil((async () => {
    const cache = await caches.open(CACHE);
    // Without cookies: the cache must contain no user's data, and requesting both languages must not set the language cookie.
    await cache.addAll([...BUILD.shell, ...Object.values(BUILD.offline)].map((url) => new Request(url, { credentials: 'omit' })));
    await self.skipWaiting();
  })());
});

self.addEventListener('activate', (event) => {
  event.waitUntil((async () => {
    for (const name of await caches.keys()) if (name.startsWith('sohbet-') && name !== CACHE) await caches.delete(name);
    await self.clients.claim();
  })());
});

self.addEventListener('fetch', (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method !== 'GET' || url.origin !== location.origin || !url.pathname.startsWith(`${BUILD.base}/`) || APART.test(url.pathname.slice(BUILD.base.length))) return;
  if (request.mode === 'navigate') event.respondWith(navigate(request));
  else if (BUILD.shell.includes(url.pathname + url.search)) event.respondWith(kept(request));
});

async function kept(request) {
  const cache = await caches.open(CACHE);
  return (await cache.match(request.url, { ignoreVary: true })) ?? fetch(request);
}

async function navigate(request) {
  const cache = await caches.open(CACHE);
  try {
    const response = await fetch(request);
    const lang = response.headers.get('Content-Language');
    if (lang in BUILD.offline) await cache.put(LANGUAGE, new Response(lang));
    return response;
  } catch {
    const last = await (await cache.match(LANGUAGE))?.text();
    const page = await cache.match(BUILD.offline[last] ?? BUILD.offline[BUILD.fallback], { ignoreVary: true });
    return page ?? Response.error();
  }
}

// --- pushes, for agents: {title, body, tag, url, unread} --------------------------------

self.addEventListener('push', (event) => {
  let told = {};
  try { told = event.data?.json() ?? {}; } catch { /* not JSON */ }
  if (Number.isInteger(told.unread)) event.waitUntil(Promise.resolve(self.navigator.setAppBadge?.(told.unread)).catch(() => { /* the notification shows it */ }));
  // Browsers require that every push shows a notification.
  event.waitUntil(self.registration.showNotification(String(told.title || 'Sohbet'), {
    body: String(told.body ?? ''), tag: String(told.tag || 'sohbet'), renotify: true, icon: `${BUILD.base}/icon-192.png`, data: { url: here(told.url) },
  }));
});

/** The path of a push, if it is on this site; otherwise the console's. */
function here(path) {
  try {
    const url = new URL(path || CONSOLE, location.origin);
    return url.origin === location.origin ? url.pathname + url.search : CONSOLE;
  } catch {
    return CONSOLE;
  }
}

self.addEventListener('notificationclick', (event) => {
  const { tag, data } = event.notification;
  event.notification.close();
  const url = here(data?.url);
  event.waitUntil((async () => {
    const open = await self.clients.matchAll({ type: 'window', includeUncontrolled: true });
    const there = open.find((client) => new URL(client.url).pathname === url);
    // The message with the conversation's tag is delivered once the page's scripts have run.
    if (there) there.postMessage({ pressed: tag });
    if (there) await there.focus();
    else (await self.clients.openWindow(url))?.postMessage({ pressed: tag });
  })());
});
