// The service worker: keeps the visitor's shell, says in words when there is no connection, and shows pushes to agents. It
// never touches the API, the socket, uploads or the agents' pages, and keeps no page that somebody was in.
// BUILD ({version, base, shell, offline, fallback}) is put before this by the server.
const CACHE = `sohbet-${BUILD.version}`;
const APART = /^\/(admin|api|socket\.io|uploads|login|logout|health|metrics|widget)/;
const LANGUAGE = `${BUILD.base}/sw-language`;
const CONSOLE = `${BUILD.base}/admin`;

self.addEventListener('install', (event) => {
  event.waitUntil((async () => {
    const cache = await caches.open(CACHE);
    // Without cookies: what is kept here is nobody's, and asking for both languages must not choose one.
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
  try { told = event.data?.json() ?? {}; } catch { /* not ours */ }
  if (Number.isInteger(told.unread)) event.waitUntil(Promise.resolve(self.navigator.setAppBadge?.(told.unread)).catch(() => { /* the notification says it */ }));
  // A browser demands that every push shows something.
  event.waitUntil(self.registration.showNotification(String(told.title || 'Sohbet'), {
    body: String(told.body ?? ''), tag: String(told.tag || 'sohbet'), renotify: true, icon: `${BUILD.base}/icon-192.png`, data: { url: here(told.url) },
  }));
});

/** The path of a push, if it leads to this site; else the console. */
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
    // It hears which conversation was meant once its scripts have run, and before it is shown.
    if (there) there.postMessage({ pressed: tag });
    if (there) await there.focus();
    else (await self.clients.openWindow(url))?.postMessage({ pressed: tag });
  })());
});
