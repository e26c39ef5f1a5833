// Transfer sizes of a first visit with gzip, no requests to other hosts, and no layout shifts.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, get } from 'node:http';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { connected, startEnv, openThread, say, sayAll, shows, signIn, visit } from './harness.mjs';
import { chat, introduce, launcher, openUp, Site } from './host-site.mjs';
import { count, paints, sum, watchPaints } from './page-cost.mjs';

let env;
let shop;
before(async () => {
  shop = await new Site('127.0.0.1').start();
  env = await startEnv({ CORS_ORIGINS: shop.url });
  env.hosts.push(shop.url);
  shop.page('*', { server: env.server.url });
});
after(async () => {
  await env.close(); // fails if a page has sent a request to another host
  await shop.stop();
});

const kB = (n) => `${(n / 1000).toFixed(1)} kB`;

/** Fails if the responses together exceed the limit, or a larger one was not compressed. */
function within(answers, limit, what, t) {
  const bytes = sum(answers);
  t.diagnostic(`${what}: ${kB(bytes)} in ${answers.length} answers (headers ${kB(sum(answers, 'head'))}): ${answers.map((one) => `${new URL(one.url).pathname.replace(/.*\//, '/')} ${one.bytes}`).join(', ')}`);
  assert.ok(bytes > 0 && bytes <= limit, `${what}: ${bytes} bytes, at most ${limit} wanted`);
  for (const { url, encoding, bytes: own } of answers) if (own > 1_000) assert.equal(encoding, 'gzip', url);
}

for (const [path, limit, ready, early] of [['/', 44_000, '#name'], ['/login', 12_000, '#ask-button'], ['/admin', 70_000, '#connection[hidden]', '/api/threads?limit=50&status=active'], ['/admin/diagnostics', 15_000, '#checks li', '/api/diagnostics'],
  ['/admin/audit', 15_000, '.audit[data-told]', '/api/audit']]) {
  test(`first visit of ${path}`, async (t) => {
    const context = await env.newContext();
    if (path.startsWith('/admin')) {
      const signedIn = await signIn(context, env.server);
      await signedIn.close();
    }
    await watchPaints(context);
    const page = await context.newPage();
    const wire = await count(page);
    await wire.cdp.send('Network.setCacheDisabled', { cacheDisabled: true });
    await page.goto(path);
    await page.waitForSelector(ready, { state: 'attached' });
    await page.waitForLoadState();
    const { cls, shifts } = await paints(page);
    const all = wire.take();
    within(all.filter(({ url }) => !/\/(api|socket\.io)\//.test(url)), limit, `first visit of ${path}`, t);
    // The preloaded request is used by the scripts; the console sends it again once it is connected.
    if (early) assert.equal(all.filter(({ url }) => url === env.server.url + early).length, path === '/admin' ? 2 : 1, early);
    assert.equal(cls, 0, `shifts: ${shifts}`);
    await context.close();
  });
}

test('a page that arrives in parts is painted when complete', async () => {
  const slow = createServer(async ({ url, headers }, response) => {
    const [answer] = await once(get(env.server.url + url, { headers: { ...headers, 'accept-encoding': 'identity' } }), 'response');
    response.writeHead(answer.statusCode, answer.headers);
    if (!answer.headers['content-type']?.startsWith('text/html')) {
      answer.pipe(response);
      return;
    }
    const page = Buffer.concat(await answer.toArray());
    for (let piece = 0; piece < 12; piece++) {
      response.write(page.subarray((page.length * piece) / 12, (page.length * (piece + 1)) / 12));
      await sleep(60);
    }
    response.end();
  }).listen(0, '127.0.0.1');
  await once(slow, 'listening');
  const address = `http://127.0.0.1:${slow.address().port}`;
  env.hosts.push(address);
  try {
    for (const [path, ready] of [['/login', '#ask-button'], ['/', '#name'], ['/nowhere', 'h1']]) {
      const context = await env.newContext({ baseURL: address });
      await watchPaints(context);
      const page = await context.newPage();
      await page.goto(path);
      await page.waitForSelector(ready);
      await page.waitForLoadState();
      const { cls, shifts } = await paints(page);
      assert.equal(cls, 0, `${path}: ${shifts}`);
      await context.close();
    }
  } finally {
    slow.closeAllConnections();
    slow.close();
  }
});

test('reloading a conversation causes no layout shift', async () => {
  const context = await env.newContext();
  const visitor = await visit(context, 'Zıplamayan');
  await say(visitor, 'soru');
  const agent = await signIn(await env.newContext(), env.server);
  await openThread(agent, 'Zıplamayan');
  const lines = Array.from({ length: 12 }, (_, i) => `satır ${i}`);
  await sayAll(agent, lines);
  await shows(visitor, ['soru', ...lines]);
  await watchPaints(context);
  await visitor.reload();
  await connected(visitor);
  await shows(visitor, ['soru', ...lines]);
  const { cls, shifts } = await paints(visitor);
  assert.equal(cls, 0, `shifts: ${shifts}`);
  await context.close();
});

test('the widget: transfer sizes of loader, first opening, and next page', async (t) => {
  const context = await env.newContext({ reducedMotion: 'reduce' });
  await openUp(context);
  await watchPaints(context);
  const page = await context.newPage();
  const wire = await count(page);
  const ours = () => wire.take().filter(({ url }) => url.startsWith(`${env.server.url}/`) && !url.includes('/socket.io/'));
  await page.goto(shop.url);
  await launcher(page).waitFor();
  await page.waitForLoadState();
  assert.equal((await paints(page)).cls, 0, 'no layout shift in the site’s page');
  const loader = ours();
  assert.deepEqual(loader.map(({ url }) => url), [`${env.server.url}/widget.js`]);
  within(loader, 6_500, 'loader', t);

  await launcher(page).click();
  await chat(page).locator('#start-form button[type=submit]').waitFor();
  const frame = page.frames()[1];
  await frame.waitForLoadState();
  const { cls, shifts } = await paints(frame);
  assert.equal(cls, 0, `shifts in the panel: ${shifts}`);
  within(ours(), 40_300, 'first opening', t);

  await introduce(page, 'Tartan');
  await page.evaluate(() => window.Sohbet('close'));
  await launcher(page).click();
  // Focusing the composer loads the code for files when the page is idle, on a busy machine only after the next page was opened.
  const forFiles = /\/widget-(files|upload)\.js$|\/composer-tools\.css$/;
  assert.deepEqual(ours().filter(({ url }) => !forFiles.test(url)), [], 'opening again loads nothing');

  // The next page revalidates the loader, and has the rest in its cache.
  await page.goto(`${shop.url}/next`);
  await page.locator('sohbet-chat iframe').waitFor({ state: 'attached' });
  await page.frameLocator('sohbet-chat iframe').locator('#talk[data-connection=online]').waitFor({ state: 'attached' });
  assert.equal((await paints(page)).cls, 0, 'no layout shift in the next page');
  within(ours().filter(({ url, bytes }) => bytes > 0 && !forFiles.test(url)), 8_000, 'the next page of the site', t);
  await context.close();
});
