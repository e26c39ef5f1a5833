// What the browser stores: theme cookie, cached assets, offline page; push notifications; and the Trusted Types policy.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, afterEach, before, test } from 'node:test';
import { eventually, openThread, startEnv, PHONE, say, signIn, STORED_MESSAGE, visit } from './harness.mjs';

let env;
before(async () => { env = await startEnv({ BRAND_NAME: 'Çınar Kitabevi', BRAND_COLOR: '#e91e63', BRAND_GREETING: 'Hoş geldiniz!', AGENT_NAME: 'Elif' }); });
afterEach(() => env.closeContexts());
after(() => env.close());

const paper = (page) => page.evaluate(() => getComputedStyle(document.querySelector('.talk, .sheet-page, .desk')).getPropertyValue('color-scheme') + getComputedStyle(document.documentElement).backgroundColor);

test('the chosen theme is kept after a reload, on the next page and without scripts, and can be reset to the system\'s', async () => {
  const context = await env.newContext({ colorScheme: 'light' });
  const page = await context.newPage();
  await page.goto('/');
  const light = await paper(page);
  await page.locator('.choices .themes a').nth(2).click();
  const dark = await paper(page);
  assert.notEqual(dark, light);
  assert.equal(await page.locator('.choices .themes a[aria-current=true]').getAttribute('href'), '?theme=dark');
  assert.equal(await page.url(), `${env.server.url}/`, 'no page is loaded for it');
  await page.reload();
  assert.equal(await paper(page), dark);
  // The server writes the theme into the page, so there is no flash of the other theme.
  const html = await (await context.request.get('/login')).text();
  assert.match(html, /<html [^>]*data-theme="dark"/);
  const bare = await env.newContext({ colorScheme: 'light', javaScriptEnabled: false });
  const still = await bare.newPage();
  await still.goto('/login');
  await still.locator('.themes a').nth(2).click();
  await still.goto('/yok');
  assert.equal(await still.getAttribute('html', 'data-theme'), 'dark');
  await page.locator('.choices .themes a').nth(0).click();
  assert.equal(await paper(page), light);
  await page.reload();
  assert.equal(await page.getAttribute('html', 'data-theme'), null);
});

test('the brand: name, greeting, agent name, and its colour', async () => {
  const page = await visit(await env.newContext(), 'Marka', { lang: 'en' });
  assert.equal(await page.title(), 'Write to us · Çınar Kitabevi');
  assert.match(await page.textContent('.talk-head h1'), /Elif\s+· Çınar Kitabevi/);
  assert.match(await page.textContent('.welcome .display'), /Hoş geldiniz!/);
  const accent = await page.evaluate(() => getComputedStyle(document.querySelector('.button')).backgroundColor);
  const [r, g, b] = accent.match(/\d+/g).map(Number);
  assert.ok(r > 150 && r > 2 * g && b > g, `${accent} is a readable shade of #e91e63`);
  const manifest = await (await page.request.get('/manifest.json')).json();
  assert.equal(manifest.name, 'Çınar Kitabevi');
});

test('without a connection: an offline page in the language of the last visit, which reloads by itself', async () => {
  const context = await env.newContext({ ...PHONE, serviceWorkers: 'allow' });
  const page = await context.newPage();
  await page.goto('/?lang=en');
  await page.evaluate(() => navigator.serviceWorker.ready);
  await page.waitForFunction(() => navigator.serviceWorker.controller);
  await page.goto('/');
  const kept = await page.evaluate(async () => (await Promise.all((await caches.keys()).map(async (name) => (await (await caches.open(name)).keys()).map((r) => new URL(r.url).pathname)))).flat());
  assert.ok(kept.some((path) => path.endsWith('/page/visitor.js')) && kept.includes('/offline'));
  assert.deepEqual(kept.filter((path) => !/^\/(static\/\w+\/page\/(visitor|offline)|offline$|favicon\.svg$|brand\.css$|sw-language$)/.test(path)), [], 'no user data');
  // Caching the offline page in both languages must not have set the language.
  assert.deepEqual((await context.cookies()).filter((c) => c.name === 'lang').map((c) => c.value), ['en']);
  await env.server.kill();
  try {
    await page.goto('/');
    assert.match(await page.textContent('h1'), /There is no connection/);
    assert.equal(await page.evaluate(() => getComputedStyle(document.querySelector('.button')).borderRadius), '6px', 'with its style');
    assert.equal(await page.locator('meta[name=csrf-token]').count(), 0);
    await assert.rejects((await context.newPage()).goto('/admin'), /ERR_/, 'the agents\' pages are not touched');
  } finally {
    await env.server.start();
  }
  await page.evaluate(() => dispatchEvent(new Event('online')));
  await page.waitForSelector('#start-form');
});

test('the Trusted Types policy allows only registering the service worker', async () => {
  const context = await env.newContext({ serviceWorkers: 'allow' });
  const visitor = await visit(context, 'Tipler');
  await visitor.evaluate(() => navigator.serviceWorker.ready); // the visitor's page has created its policy by then; the console does so only for push
  for (const page of [visitor, await signIn(context, env.server)]) {
    const got = await page.evaluate((made) => {
      const tries = {
        otherPolicy: () => trustedTypes.createPolicy('other', { createHTML: (text) => text }),
        ...(made && { sameAgain: () => trustedTypes.createPolicy('sohbet-worker', { createScriptURL: (text) => text }) }),
        html: () => { document.createElement('div').innerHTML = '<b>x</b>'; },
        script: () => { document.createElement('script').src = '/static/x.js'; },
      };
      return Object.entries(tries).filter(([, one]) => { try { one(); return true; } catch { return false; } }).map(([name]) => name);
    }, page === visitor);
    env.problems.length = 0; // the browser logs the refusals to the console
    assert.deepEqual(got, [], 'these got through');
  }
});

test('pushes are shown as notifications that open only the console', async () => {
  const context = await env.newContext({ serviceWorkers: 'allow', permissions: ['notifications'] });
  const page = await visit(context, 'İtme');
  await page.evaluate(() => navigator.serviceWorker.ready);
  const worker = context.serviceWorkers()[0];
  const shown = await worker.evaluate(async () => {
    const seen = [];
    self.registration.showNotification = async (title, options) => { seen.push([title, options.body, options.tag, options.data.url]); };
    const push = async (data) => {
      const event = new PushEvent('push', data === undefined ? {} : { data });
      const waits = [];
      event.waitUntil = (p) => waits.push(p);
      self.dispatchEvent(event);
      await Promise.all(waits);
    };
    await push(JSON.stringify({ title: 'Ayşe', body: 'Merhaba', tag: 't1', url: '/admin' }));
    await push(JSON.stringify({ title: 'x', url: 'https://evil.example/' }));
    await push('not json');
    await push();
    return seen;
  });
  assert.deepEqual(shown, [['Ayşe', 'Merhaba', 't1', '/admin'], ['x', '', 'sohbet', '/admin'], ['Sohbet', '', 'sohbet', '/admin'], ['Sohbet', '', 'sohbet', '/admin']]);
});

test('clicking a push notification opens its conversation, in an open console or a new one', async () => {
  const context = await env.newContext({ serviceWorkers: 'allow' });
  const [guest, other] = [await visit(await env.newContext(), 'Basılan'), await visit(await env.newContext(), 'Sonra Gelen')];
  for (const page of [guest, other]) {
    await say(page, 'kimse var mı?');
    await page.waitForSelector(STORED_MESSAGE);
  }
  const { thread } = await guest.evaluate(() => JSON.parse(localStorage.getItem('sohbet.visitor')));
  const tag = createHash('sha256').update(`sohbet push topic\n${thread}`).digest('hex').slice(0, 32); // like topicOf in server/push
  const shell = await context.newPage();
  await shell.goto('/');
  await shell.evaluate(() => navigator.serviceWorker.ready);
  const [worker] = context.serviceWorkers();
  const page = await signIn(context, env.server);
  await page.waitForSelector('.row');
  const press = (pressed) => worker.evaluate(async (of) => {
    const done = [];
    WindowClient.prototype.focus = async () => { done.push('focused'); }; // browsers allow it only after a real click
    self.clients.openWindow = async (url) => { done.push(url); return { postMessage: (told) => done.push(told) }; };
    const event = new Event('notificationclick');
    event.notification = { tag: of, close: () => done.push('closed'), data: { url: '/admin' } };
    const waits = [];
    event.waitUntil = (p) => waits.push(p);
    self.dispatchEvent(event);
    await Promise.all(waits);
    return done;
  }, pressed);
  assert.deepEqual(await press(tag), ['closed', 'focused']);
  await eventually(async () => assert.equal(await page.textContent('#head-name'), 'Basılan'));
  await page.goto('about:blank');
  // For a moment the browser may still list the page that was left.
  await eventually(async () => assert.deepEqual(await press(tag), ['closed', '/admin', { pressed: tag }]));
});

test('the icon of an installed console shows the number of unread messages', async () => {
  const context = await env.newContext();
  await context.addInitScript(() => {
    window.badges = [];
    navigator.setAppBadge = (n) => { window.badges.push(n); return Promise.resolve(); };
  });
  const visitor = await visit(await env.newContext(), 'Rozet');
  await say(visitor, 'bir');
  await visitor.waitForSelector(STORED_MESSAGE);
  const agent = await signIn(context, env.server);
  await agent.locator('.row', { hasText: 'Rozet' }).waitFor();
  const badge = () => agent.evaluate(() => window.badges.at(-1) ?? 0);
  const first = await badge(); // with unread messages of earlier tests
  assert.ok(first >= 1);
  const shown = (n) => eventually(async () => assert.equal(await badge(), n), `badge ${n}`);
  await say(visitor, 'iki');
  await shown(first + 1);
  await openThread(agent, 'Rozet');
  await shown(first - 1);
});
