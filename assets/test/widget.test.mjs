// The widget on pages of other origins, with the real server.
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { chromium } from 'playwright-core';
import { DESKTOP_CHROMIUM, eventually, startEnv, openThread, PHONE, say, Server, shows, signIn, stateOf, STORED, texts } from './harness.mjs';
import { freePort } from '../../handlers/test/processes.mjs';
import { chat, introduce as introduceIn, launcher, openUp, panel, Site } from './host-site.mjs';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

const SECRET = 'only the servers of shop and chat know this';
/** The hash that the shop's server computes, see README.md. */
const proof = (id) => createHmac('sha256', SECRET).update(id).digest('hex');

let env;
let shop; // another origin of the same site, so that the frame has storage
let far; // another site, where frames have no storage in tests' private windows, because third-party cookies are blocked there
let unlisted;
before(async () => {
  [shop, far, unlisted] = await Promise.all([new Site('127.0.0.1').start(), new Site('localhost').start(), new Site('localhost').start()]);
  env = await startEnv({ CORS_ORIGINS: `${shop.url},${far.url}`, IDENTITY_SECRET: SECRET });
  env.hosts.push(shop.url, far.url, unlisted.url);
  for (const site of [shop, far, unlisted]) site.page('*', { server: env.server.url });
});
afterEach(() => env.closeContexts());
after(async () => {
  await env.close();
  await Promise.all([shop.stop(), far.stop(), unlisted.stop()]);
});

/** Opens a page of a site and waits for the button. */
async function at(address, options = {}, browser = env.browser) {
  const context = await env.newContext(options, browser);
  await openUp(context);
  const page = await context.newPage();
  await page.goto(address);
  await launcher(page).waitFor({ state: 'attached' });
  return page;
}

/** Opens the panel by its button and enters a name. */
async function introduce(page, name) {
  await launcher(page).click();
  await introduceIn(page, name);
  return chat(page);
}

/** Collects the page's console.error messages. */
function errors(page) {
  const said = [];
  page.on('console', (message) => { if (message.type() === 'error') said.push(message.text()); });
  return said;
}

const frames = (page) => page.locator('sohbet-chat iframe').count();
/** Where the focus is: "launcher", "chat", or a tag of the page. */
const focused = (page) => page.evaluate(() => {
  const inside = document.activeElement?.shadowRoot?.activeElement;
  return inside?.className || (inside?.tagName === 'IFRAME' ? 'chat' : document.activeElement?.tagName);
});

test('the button opens a conversation', async () => {
  const page = await at(shop.url, { reducedMotion: 'reduce' });
  const asked = [];
  page.on('request', (request) => asked.push(request.url()));
  const button = page.getByRole('button', { name: 'Sohbeti aç' });
  assert.deepEqual(await button.evaluate((node) => { const { width, height, right, bottom } = node.getBoundingClientRect(); return [width, height, innerWidth - right, innerHeight - bottom]; }), [56, 56, 20, 20]);
  assert.equal(await frames(page), 0, 'no frame before it is needed');

  await page.evaluate(() => {
    window.received = [];
    for (const event of ['ready', 'open', 'close', 'message', 'unread']) window.Sohbet('on', event, (detail) => window.received.push([event, detail]));
  });
  const talk = await introduce(page, 'Ayşe Pencerede');
  const box = await panel(page).boundingBox();
  assert.deepEqual([box.width, box.height], [380, 640]);
  await say(talk, 'Kargo ne zaman gelir?');
  await eventually(async () => assert.match(await stateOf(talk, 'Kargo ne zaman gelir?'), STORED));

  // Escape in the chat closes the panel and focuses the button.
  assert.equal(await focused(page), 'chat');
  assert.equal(await launcher(page).getAttribute('aria-expanded'), 'true');
  await page.keyboard.press('Escape');
  await panel(page).waitFor({ state: 'hidden' });
  assert.equal(await focused(page), 'launcher');
  assert.equal(await launcher(page).getAttribute('aria-expanded'), 'false');

  // It reopens by keyboard, unchanged and without requests to the server.
  asked.length = 0;
  await talk.locator('body').evaluate(() => { window.same = true; });
  await page.keyboard.press('Enter');
  await panel(page).waitFor();
  await eventually(async () => assert.equal(await talk.locator(':focus').getAttribute('id'), 'text'), 'focus in the composer');
  assert.equal(await talk.locator('body').evaluate(() => window.same), true, 'the same frame');
  assert.deepEqual(asked, []);
  await talk.locator('#fold').click();
  await panel(page).waitFor({ state: 'hidden' });
  assert.equal(await focused(page), 'launcher');
  assert.deepEqual(await page.evaluate(() => window.received), [
    ['ready', undefined], ['open', undefined], ['message', { from: 'visitor', type: 'text' }], ['close', undefined], ['open', undefined], ['close', undefined],
  ]);
  assert.deepEqual(await page.evaluate(() => Object.entries(localStorage)), [['sohbet.talk', '1']], 'the site stores only a marker without a credential');
});

test('a badge counts messages received while the panel was closed, also on the next page', async () => {
  const page = await at(shop.url);
  const talk = await introduce(page, 'Rozet Sayan');
  await say(talk, 'soru');
  const agent = await signIn(await env.newContext(), env.server);
  await openThread(agent, 'Rozet Sayan');
  await page.evaluate(() => {
    window.received = [];
    window.Sohbet('on', 'unread', ({ count }) => window.received.push(count));
    window.Sohbet('close');
  });
  await say(agent, 'bir');
  await say(agent, 'iki');
  await page.getByRole('button', { name: 'Sohbeti aç, 2 okunmamış mesaj' }).waitFor();
  assert.equal(await page.locator('sohbet-chat .badge').textContent(), '2');
  assert.equal(await page.locator('sohbet-chat [role=status]').textContent(), '2 okunmamış mesaj');
  assert.deepEqual(await page.evaluate(() => window.received), [1, 2]);
  assert.notEqual(await stateOf(agent, 'iki'), 'read', 'not seen yet');

  // On the site's next page, before the panel is opened.
  await page.goto(`${shop.url}/sepet`);
  await page.getByRole('button', { name: 'Sohbeti aç, 2 okunmamış mesaj' }).waitFor();
  assert.equal(await focused(page), 'BODY', 'the hidden frame does not take the focus');
  await launcher(page).click();
  await shows(talk, ['soru', 'bir', 'iki']);
  await eventually(async () => assert.equal(await stateOf(agent, 'iki'), 'read'), 'read now');
  await page.getByRole('button', { name: 'Sohbeti kapat', exact: true }).first().waitFor();
  assert.ok(await page.locator('sohbet-chat .badge').isHidden());
  await page.reload();
  await page.locator('sohbet-chat iframe').waitFor({ state: 'attached' });
  await eventually(async () => assert.deepEqual(await texts(talk), ['soru', 'bir', 'iki']), 'loaded while hidden');
  assert.ok(await page.locator('sohbet-chat .badge').isHidden(), 'seen messages are not counted again');

  // The user signs out of the site.
  await page.evaluate(() => window.Sohbet('reset'));
  await eventually(async () => assert.equal(await page.evaluate(() => localStorage.length), 0), 'the marker is gone');
  await launcher(page).click();
  await talk.locator('#name').waitFor();
});

test('the site’s styles, layers and transforms do not affect the widget', async () => {
  shop.page('/hostile', {
    server: env.server.url,
    head: `<style>
      * { all: unset !important; }
      *, *::before, *::backdrop { display: none !important; color: red !important; font-size: 60px !important; box-sizing: content-box !important; padding: 40px !important; }
      html, body, main { display: block !important; transform: translate(300px, -200px) scale(.5) !important; filter: blur(9px) !important; opacity: .2 !important; overflow: hidden !important; }
      #cover { display: block !important; position: fixed !important; inset: -999px !important; z-index: 2147483647 !important; background: #ccc !important; }
      sohbet-chat { visibility: hidden !important; pointer-events: none !important; width: 1px !important; transform: scale(0) !important; direction: rtl !important; }
      [popover] { opacity: 0 !important; }
    </style>`,
    body: '<main>metin</main><div id="cover"></div>',
  });
  const page = await at(`${shop.url}/hostile`);
  assert.deepEqual(await launcher(page).evaluate((node) => {
    const { width, height, right, bottom } = node.getBoundingClientRect();
    const { color, paddingTop, visibility, opacity } = getComputedStyle(node);
    return { size: [width, height], place: [innerWidth - right, innerHeight - bottom], color, paddingTop, visibility, opacity };
  }), { size: [56, 56], place: [20, 20], color: 'rgb(255, 255, 255)', paddingTop: '0px', visibility: 'visible', opacity: '1' });
  // A click at the visible position, not dispatched to the element.
  const { width, height } = page.viewportSize();
  await page.mouse.click(width - 48, height - 48);
  await chat(page).locator('#name').fill('Sağlam');
  const box = await panel(page).boundingBox();
  assert.deepEqual([box.width, box.height, width - box.x - box.width], [380, 640, 20]);
  await page.mouse.click(width - 48, height - 48);
  await panel(page).waitFor({ state: 'hidden' });
});

test('a site with a strict Content-Security-Policy', async () => {
  const policy = (rest) => ({ 'Content-Security-Policy': `default-src 'none'; script-src ${env.server.url}; style-src 'none'; require-trusted-types-for 'script'; trusted-types 'none'; ${rest}` });
  shop.page('/strict', { server: env.server.url, headers: { ...policy(`frame-src ${env.server.url}`), 'Cross-Origin-Opener-Policy': 'same-origin', 'Referrer-Policy': 'no-referrer' } });
  const page = await at(`${shop.url}/strict`);
  const said = errors(page);
  const talk = await introduce(page, 'Sıkı Site');
  await say(talk, 'buradan da olur');
  await eventually(async () => assert.match(await stateOf(talk, 'buradan da olur'), STORED));
  const box = await panel(page).boundingBox();
  assert.deepEqual([box.width, box.height], [380, 640], 'its own styles hold');
  assert.deepEqual(said, []);

  // Without frame-src the frame is blocked; the panel shows an error, and the console says what to do.
  shop.page('/no-frames', { server: env.server.url, headers: policy('') });
  const context = await env.browser.newContext({ locale: 'tr-TR' });
  await openUp(context);
  const closed = await context.newPage();
  const received = errors(closed);
  await closed.goto(`${shop.url}/no-frames`);
  await launcher(closed).click();
  await closed.getByText('Sohbet yüklenemedi.').waitFor();
  assert.ok(received.some((text) => text.startsWith('Sohbet:') && text.includes(`frame-src ${env.server.url}`)), received.join('\n'));
  await context.close();
});

test('a site that is not listed gets no chat, and the console says why', async () => {
  const context = await env.browser.newContext();
  await openUp(context);
  const page = await context.newPage();
  const said = errors(page);
  const asked = [];
  page.on('request', (request) => { if (request.url().startsWith(env.server.url)) asked.push(request.url()); });
  await page.goto(unlisted.url);
  await page.waitForFunction(() => window.Sohbet?.loaded);
  await page.evaluate(() => { window.Sohbet('open'); window.Sohbet('identify', { id: '1', hash: 'x' }); });
  assert.equal(await page.locator('sohbet-chat').count(), 0);
  assert.deepEqual(said, [`Sohbet: ${unlisted.url} may not show this chat: add it to CORS_ORIGINS of ${env.server.url} and restart that`]);
  assert.deepEqual(asked, [`${env.server.url}/widget.js`]);

  // A frame made by the site itself is refused as well.
  await page.evaluate((address) => new Promise((resolve) => {
    const frame = document.createElement('iframe');
    frame.onload = resolve;
    frame.src = address;
    document.body.append(frame);
  }), `${env.server.url}/widget`);
  assert.ok(said.at(-1).includes('frame-ancestors'), said.join('\n'));
  assert.equal(await page.frames()[1].locator('#talk').count(), 0);
  await context.close();
});

test('the frame accepts messages only from the page that embeds it', async () => {
  const page = await at(shop.url);
  await introduce(page, 'Gizli Konuşma');
  const frame = page.frames()[1];
  // Messages without a channel, and a hello from another window, are ignored; the open channel still works.
  await page.evaluate(() => {
    const { contentWindow } = document.querySelector('sohbet-chat').shadowRoot.querySelector('iframe');
    for (const data of ['sohbet:welcome', ['sohbet:welcome', { open: false, person: null, page: {} }], ['reset'], null, { data: 1 }]) contentWindow.postMessage(data, '*');
    window.postMessage('sohbet:hello', '*');
  });
  await page.evaluate(() => window.Sohbet('close'));
  await eventually(async () => assert.equal(await frame.evaluate(() => document.getElementById('talk').hidden), true));
  assert.ok(await frame.evaluate(() => Boolean(localStorage.getItem('sohbet.visitor'))));
  // The thread id, the visitor's only credential, is not visible to the site.
  const thread = await frame.evaluate(() => JSON.parse(localStorage.getItem('sohbet.visitor')).thread);
  assert.ok(!page.frames().some((one) => one.url().includes(thread)));
  assert.ok(!JSON.stringify(await page.evaluate(() => Object.entries(localStorage))).includes(thread));
});

test('without third-party cookies or any storage, the widget works until the page is left', async (t) => {
  const desktop = await chromium.launch(DESKTOP_CHROMIUM);
  t.after(() => desktop.close());
  const gone = await at(far.url, {}, desktop);
  const talk = await introduce(gone, 'Hafızasız');
  await assert.rejects(gone.frames()[1].evaluate(() => localStorage.length), /Access is denied/, 'the browser blocks the frame’s storage');
  await say(talk, 'çerezsiz');
  await eventually(async () => assert.match(await stateOf(talk, 'çerezsiz'), STORED));
  assert.equal(await gone.evaluate(() => localStorage.length), 0, 'no conversation to resume, so no marker');
  await gone.evaluate(() => window.Sohbet('close'));
  await launcher(gone).click();
  await shows(talk, ['çerezsiz']);

  const context = await env.newContext();
  await openUp(context);
  await context.addInitScript(() => {
    for (const name of ['localStorage', 'sessionStorage', 'indexedDB']) Object.defineProperty(window, name, { get() { throw new DOMException('denied', 'SecurityError'); } });
    Object.defineProperty(document, 'cookie', { get() { throw new DOMException('denied', 'SecurityError'); }, set() { throw new DOMException('denied', 'SecurityError'); } });
  });
  const page = await context.newPage();
  await page.goto(shop.url);
  const bare = await introduce(page, 'Depo Yok');
  await say(bare, 'depo yok');
  await eventually(async () => assert.match(await stateOf(bare, 'depo yok'), STORED));
});

test('a user signed in on the site needs to give no name, and has one conversation on all devices', async () => {
  const customer = { id: 'müşteri-7', hash: proof('müşteri-7'), name: 'Nermin Çelik', email: 'nermin@example.com' };
  const phone = await at(shop.url, PHONE);
  await phone.evaluate((who) => window.Sohbet('identify', who), customer);
  await launcher(phone).tap();
  const here = chat(phone);
  await here.locator('#talk[data-connection=online]').waitFor();
  assert.ok(await here.locator('#start-form').isHidden(), 'the name is known');
  await say(here, 'telefondan yazdım');
  await eventually(async () => assert.match(await stateOf(here, 'telefondan yazdım'), STORED));

  // On another device, identified after the panel was opened, and where the browser blocks storage.
  const desk = await at(far.url);
  await launcher(desk).click();
  await chat(desk).locator('#name').waitFor();
  await desk.evaluate((who) => window.Sohbet('identify', who), customer);
  await shows(chat(desk), ['telefondan yazdım']);

  // Another user signs in on the phone, and must not see the conversation.
  await phone.evaluate((who) => window.Sohbet('identify', who), { id: 'müşteri-8', hash: proof('müşteri-8'), name: 'Başka Biri' });
  await eventually(async () => assert.match(await here.locator('.hello-text').textContent(), /Başka Biri/));
  await here.locator('#talk[data-connection=online]').waitFor();
  assert.deepEqual(await texts(here), []);
});

test('a wrong hash is reported to the site, and the visitor can write without an identity', async () => {
  const customer = { id: 'müşteri-9', hash: proof('müşteri-9'), name: 'Gerçek Müşteri' };
  const real = await at(shop.url);
  await real.evaluate((who) => { window.Sohbet('identify', who); window.Sohbet('open'); }, customer);
  const theirs = chat(real);
  await theirs.locator('#talk[data-connection=online]').waitFor();
  await say(theirs, 'bana ait');
  await eventually(async () => assert.match(await stateOf(theirs, 'bana ait'), STORED));

  const context = await env.browser.newContext({ locale: 'tr-TR' });
  await openUp(context);
  const page = await context.newPage();
  const said = errors(page);
  await page.goto(shop.url);
  await launcher(page).waitFor();
  await page.evaluate((who) => { window.Sohbet('identify', { ...who, hash: who.hash.replace(/./, (c) => (c === '0' ? '1' : '0')) }); window.Sohbet('open'); }, customer);
  await chat(page).locator('#talk[data-connection=online]').waitFor();
  assert.deepEqual(said, ['Sohbet: identify: refused; hash must be the hex HMAC-SHA256 of id with IDENTITY_SECRET']);
  assert.deepEqual(await texts(chat(page)), [], 'nothing of the customer’s');
  await say(chat(page), 'yabancıyım');
  await eventually(async () => assert.match(await stateOf(chat(page), 'yabancıyım'), STORED));
  assert.deepEqual(await texts(theirs), ['bana ait']);
  await context.close();
});

test('with storage partitioned by site, a conversation stays with its site; and the page is restored from the back/forward cache', async () => {
  const profile = mkdtempSync(path.join(tmpdir(), 'sohbet-profile-'));
  // Not a private window, and Chromium's default switches: those of Playwright disable both storage partitioning and the
  // back/forward cache. This Chromium's default preference blocks third-party storage, so it is changed too.
  mkdirSync(path.join(profile, 'Default'));
  writeFileSync(path.join(profile, 'Default', 'Preferences'), JSON.stringify({ profile: { cookie_controls_mode: 0 } }));
  const context = await chromium.launchPersistentContext(profile, {
    ...DESKTOP_CHROMIUM, locale: 'tr-TR', ignoreDefaultArgs: true, args: [...DESKTOP_CHROMIUM.args, '--remote-debugging-pipe', `--user-data-dir=${profile}`, 'about:blank'],
  });
  try {
    await openUp(context);
    const page = await context.newPage();
    await page.goto(far.url);
    const talk = await introduce(page, 'Sitede Kalan');
    await say(talk, 'uzak sitede');
    await eventually(async () => assert.match(await stateOf(talk, 'uzak sitede'), STORED));
    await page.goto(`${far.url}/next`);
    await page.locator('sohbet-chat iframe').waitFor({ state: 'attached' }); // loaded because of the marker
    await launcher(page).click();
    await shows(talk, ['uzak sitede']);

    const agent = await signIn(await env.newContext(), env.server);
    await openThread(agent, 'Sitede Kalan');
    await page.evaluate(() => {
      window.received = [];
      window.Sohbet('on', 'message', ({ from }) => window.received.push(from));
    });
    await page.goto(shop.url);
    await launcher(page).click();
    await talk.locator('#name').waitFor(); // on another site this is a new visitor
    await page.goBack({ waitUntil: 'commit' }); // a page from the cache fires no load event
    assert.deepEqual(await page.evaluate(() => window.received), [], 'the page came from the back/forward cache, as it was left');
    await panel(page).waitFor();
    // Playwright cannot access a frame restored this way, but its messages to the page show its state.
    await say(agent, 'hoş geldiniz');
    await eventually(async () => assert.deepEqual(await page.evaluate(() => window.received), ['team']), 'connected again');
    await eventually(async () => assert.equal(await stateOf(agent, 'hoş geldiniz'), 'read'), 'read in the open panel');

    // Agents see the visitor's current page, without query and fragment.
    await page.evaluate(() => history.pushState(null, '', '/fincan/7?token=secret#odeme'));
    await eventually(async () => assert.equal(await agent.locator('[data-fact=page]').getAttribute('href'), `${far.url}/fincan/7`), 'the page shown to the agent');
  } finally {
    await context.close();
    rmSync(profile, { recursive: true, force: true });
  }
});

test('calls before the script has loaded are queued, and invalid calls are reported', async () => {
  shop.page('/early', { server: env.server.url, head: `<script>
    window.Sohbet = window.Sohbet || function () { (Sohbet.q = Sohbet.q || []).push(arguments); };
    window.received = [];
    Sohbet('on', 'ready', function () { received.push('ready'); });
    Sohbet('on', 'open', function () { received.push('open'); throw new Error('the site’s own'); });
    Sohbet('open');
  </script>` });
  const context = await env.browser.newContext({ locale: 'tr-TR' });
  await openUp(context);
  const page = await context.newPage();
  const said = errors(page);
  const thrown = [];
  page.on('pageerror', (error) => thrown.push(error.message));
  await page.goto(`${shop.url}/early`);
  await chat(page).locator('#name').waitFor();
  assert.deepEqual(await page.evaluate(() => window.received.sort()), ['open', 'ready']);
  assert.deepEqual(thrown, ['the site’s own'], 'an exception in a listener is reported and does no harm');
  await page.evaluate(() => {
    window.Sohbet('explode');
    window.Sohbet('on', 'opened', () => {});
    window.Sohbet('identify', 'me');
    // Runs the script again, as on sites that replace their body on navigation.
    const again = document.createElement('script');
    again.src = document.querySelector('script[src]').src;
    document.body.append(again);
    return new Promise((resolve) => { again.onload = resolve; });
  });
  assert.deepEqual(said, [
    "Sohbet: no 'explode'; there are open, close, toggle, on, off, identify, page, reset", 'Sohbet: on wants one of ready, open, close, message, unread and a function',
    'Sohbet: identify wants {id, hash}',
  ]);
  assert.equal(await page.locator('sohbet-chat').count(), 1);
  await page.evaluate(() => window.Sohbet('toggle'));
  await panel(page).waitFor({ state: 'hidden' });
  await context.close();
});

for (const how of ['the Navigation API', 'pushState']) {
  test(`hidden pages with client-side navigation by ${how}`, async () => {
    shop.page('*', { server: env.server.url, attributes: 'data-hidden-pages="/checkout, /account/*"' });
    const context = await env.newContext();
    await openUp(context);
    if (how === 'pushState') await context.addInitScript(() => { delete window.navigation; Object.defineProperty(window, 'navigation', { value: undefined }); });
    const page = await context.newPage();
    await page.goto(`${shop.url}/checkout`);
    await launcher(page).waitFor({ state: 'attached' });
    assert.ok(await launcher(page).isHidden());
    for (const [path, shown] of [['/fincan?x=1#y', true], ['/account/orders/7', false], ['/checkout/done', true], ['/checkout', false]]) {
      await page.evaluate((to) => history.pushState(null, '', to), path);
      await launcher(page).waitFor({ state: shown ? 'visible' : 'hidden' });
    }
    await page.goBack();
    await launcher(page).waitFor();
    // The site can open the panel there by a call.
    await page.evaluate(() => { history.pushState(null, '', '/checkout'); window.Sohbet('open'); });
    await chat(page).locator('#name').waitFor();
    await context.close();
  });
}

test('position, colour and language by attributes', async () => {
  const place = (page) => launcher(page).evaluate((node) => { const { left, right, bottom } = node.getBoundingClientRect(); return [Math.round(left), Math.round(innerWidth - right), Math.round(innerHeight - bottom)]; });
  const wide = 1440 - 56;
  const look = async (path, options) => {
    shop.page(path, { server: env.server.url, ...options });
    return at(shop.url + path, { reducedMotion: 'reduce' });
  };
  const left = await look('/left', { attributes: 'data-position="left 24 96" data-color="#ffd400" data-lang="en"' });
  assert.deepEqual(await place(left), [24, wide - 24, 96]);
  await left.getByRole('button', { name: 'Open the chat' }).click();
  await chat(left).getByText('What should we call you?').waitFor();

  const rtl = await look('/rtl', { dir: 'rtl', lang: 'ar' });
  assert.deepEqual(await place(rtl), [20, wide - 20, 20], 'at the inline end');

  // A notice with a button is at our button's position: ours moves up, and back when the notice is gone.
  const notice = await look('/notice', { body: '<div id="n" style="position:fixed;inset:auto 0 0 0;height:80px"><button style="float:right;width:120px;height:60px" onclick="n.remove()">Tamam</button></div>' });
  await eventually(async () => assert.deepEqual(await place(notice), [wide - 20, 20, 92]), 'above the notice');
  await notice.click('#n button');
  await eventually(async () => assert.deepEqual(await place(notice), [wide - 20, 20, 20]), 'back in its place');
  const chosen = await look('/chosen', { attributes: 'data-position="right 20 20"', body: '<button style="position:fixed;right:0;bottom:0;width:90px;height:90px">X</button>' });
  await chosen.waitForLoadState();
  assert.deepEqual(await place(chosen), [wide - 20, 20, 20], 'the position chosen by the site is kept');
});

test('on a phone the panel fills the screen, and Tab stays in it', async () => {
  const page = await at(far.url, { ...PHONE, reducedMotion: 'reduce' });
  await launcher(page).tap();
  const talk = chat(page);
  await talk.locator('#name').waitFor();
  assert.deepEqual(await panel(page).boundingBox(), { x: 0, y: 0, width: 390, height: 844 });
  assert.equal(await panel(page).getAttribute('aria-modal'), 'true');
  assert.ok(await launcher(page).isHidden());
  assert.equal(await talk.locator(':focus').getAttribute('id'), 'talk', 'no text field is focused, so the on-screen keyboard stays closed');
  for (let i = 0; i < 12; i++) {
    await page.keyboard.press('Tab');
    assert.equal(await focused(page), 'chat', `Tab ${i + 1}`);
  }
  await talk.locator('#fold').tap();
  await panel(page).waitFor({ state: 'hidden' });
  assert.ok(await launcher(page).isVisible());
});

for (const colorScheme of ['light', 'dark']) {
  test(`axe finds nothing in button and panel, ${colorScheme}`, async () => {
    const page = await at(shop.url, { colorScheme, reducedMotion: 'reduce' });
    const clean = async (frame, what) => {
      await frame.evaluate(axe);
      const { violations } = await frame.evaluate(() => window.axe.run(document, { iframes: false, runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }));
      assert.deepEqual(violations.map((v) => `${v.id}: ${v.nodes.map((n) => `${n.target} ${n.failureSummary}`).join(' | ')}`), [], what);
    };
    await clean(page.mainFrame(), 'the button');
    const talk = await introduce(page, `Erişim ${colorScheme}`);
    await say(talk, 'Merhaba https://example.com');
    await eventually(async () => assert.match(await stateOf(talk, 'Merhaba'), STORED));
    await clean(page.mainFrame(), 'the open panel');
    await clean(page.frames()[1], 'the chat');
    const agent = await signIn(await env.newContext(), env.server);
    await page.evaluate(() => window.Sohbet('close'));
    await openThread(agent, `Erişim ${colorScheme}`);
    await say(agent, 'Buyurun');
    await page.locator('sohbet-chat .badge').waitFor();
    await clean(page.mainFrame(), 'the badge');
  });
}

test('the server below a path of another site: widget, chat page, console', async () => {
  const port = await freePort();
  const below = new Server({ PUBLIC_URL: `http://127.0.0.1:${port}/chat/`, BRAND_COLOR: '#e91e63' });
  below.port = port;
  await below.start();
  env.hosts.push(below.url);
  const strays = [];
  const owners = async (options) => {
    const context = await env.newContext({ baseURL: `${below.url}/chat/`, ...options });
    context.on('request', (request) => {
      if (request.url().startsWith(below.url) && !request.url().startsWith(`${below.url}/chat/`)) strays.push(request.url());
    });
    return context;
  };
  try {
    // The site has the same origin, so it needs no entry in CORS_ORIGINS.
    const context = await owners({ serviceWorkers: 'allow' });
    await openUp(context);
    await context.route(`${below.url}/`, (route) => route.fulfill({ contentType: 'text/html', body: `<!doctype html><html lang="tr"><title>Çarşı</title><h1>Fincan</h1><script src="${below.url}/chat/widget.js" async></script></html>` }));
    const page = await context.newPage();
    page.on('websocket', (socket) => { if (!socket.url().includes(`:${port}/chat/socket.io/`)) strays.push(socket.url()); });
    await page.goto(`${below.url}/`);
    await launcher(page).click();
    await introduceIn(page, 'Patika');
    await say(chat(page), 'Fincan kaç lira?');
    await eventually(async () => assert.match(await stateOf(chat(page), 'Fincan kaç lira?'), STORED));

    const signing = await (await owners()).newPage();
    await signing.goto('login?lang=tr');
    await signing.click('#ask-button');
    await signing.waitForSelector('#verify:not([hidden])');
    await signing.fill('#code', await eventually(async () => below.code()));
    await signing.waitForURL('**/chat/admin');
    await openThread(signing, 'Patika');
    await say(signing, 'Yüz lira.');
    await shows(chat(page), ['Fincan kaç lira?', 'Yüz lira.']);
    await signing.click('#menu summary');
    await signing.click('#menu a[href$=diagnostics]');
    await signing.waitForSelector('#checks li');
    assert.ok((await signing.context().cookies()).every(({ path: at }) => at === '/chat/'), 'cookies are for the path alone');

    // The chat page in the same browser, its service worker, a picture, and the theme cookie.
    const own = await context.newPage();
    await own.goto('?lang=tr');
    await own.locator('.welcome .themes a[href="?theme=dark"]').click();
    await eventually(async () => assert.equal((await context.cookies()).find(({ name }) => name === 'theme')?.path, '/chat/'));
    assert.equal(await own.evaluate(async () => (await navigator.serviceWorker.ready).scope), `${below.url}/chat/`);
    await own.locator('#pick').setInputFiles({ name: 'fincan.png', mimeType: 'image/png', buffer: readFileSync(new URL('../../docs/pictures/phone.png', import.meta.url)) });
    await own.locator('#tray li').waitFor();
    await own.locator('#send').click();
    await eventually(async () => assert.match(await own.locator('.message').last().getAttribute('data-state'), STORED));
    await own.reload();
    await own.locator('.message img').waitFor();
    await eventually(async () => assert.match(await own.locator('.message img').evaluate((img) => (img.naturalWidth ? img.src : '')), /\/chat\/uploads\//));
    assert.deepEqual(strays.filter((url) => url !== `${below.url}/` && url !== `${below.url}/favicon.ico`), [], 'no request outside of the path');
  } finally {
    await env.closeContexts();
    await below.kill('SIGTERM');
  }
});
