// The visitor's page in all states of a conversation, by keyboard, right to left, zoomed and on small screens.
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { chromium } from 'playwright-core';
import { cleanInBoth } from './axe.mjs';
import { connected, DESKTOP_CHROMIUM, interceptEvents, eventually, startEnv, openThread, PHONE, say, shows, signIn, stateOf, STORED_MESSAGE, visit } from './harness.mjs';

let env;
let agent;
before(async () => {
  env = await startEnv();
  agent = await signIn(await env.newContext(), env.server);
});
afterEach(() => env.closeContexts(agent.context()));
after(() => env.close());

/** Sends an agent's event by a second socket of the console's page. */
const ask = (event, what) => agent.evaluate(async ([name, payload]) => {
  const { io } = await import('/socket.io/socket.io.esm.min.js');
  window.line ??= io({ path: '/socket.io/', forceNew: true });
  await window.line.emitWithAck('admin_join');
  const answer = await window.line.emitWithAck(name, payload);
  if (!answer.ok) throw new Error(`${name}: ${answer.error.message}`);
  return answer;
}, [event, what]);
const threadOf = async (page) => (await page.waitForFunction(() => JSON.parse(localStorage.getItem('sohbet.visitor'))?.thread)).jsonValue();
const row = async (id) => (await (await agent.request.get('/api/threads?limit=100')).json()).find((one) => one.id === id);
const focused = (page) => page.evaluate(() => document.activeElement.id || document.activeElement.className || document.activeElement.tagName);

test('closed: the rating is sent, can be changed, takes a comment, and a new message reopens the conversation; axe', async () => {
  const page = await visit(await env.newContext(PHONE), 'Kapanan');
  await say(page, 'merhaba');
  const id = await threadOf(page);
  await eventually(async () => assert.notEqual(await row(id), undefined));
  await ask('set_status', { thread_id: id, status: 'closed' });
  await page.waitForSelector('#offer[data-kind=closed]');
  await cleanInBoth(page, 'closed');
  await page.locator('.glass input').nth(1).focus();
  await page.keyboard.press('ArrowRight');
  await eventually(async () => assert.equal((await row(id)).rating, 3));
  await page.keyboard.press('ArrowRight');
  await eventually(async () => assert.equal((await row(id)).rating, 4));
  await eventually(async () => assert.match(await page.textContent('.offer-said'), /İyi/));
  await page.fill('#rating-comment', 'Hızlı yanıt için teşekkürler');
  await cleanInBoth(page, 'rated');
  await page.click('.offer-form button');
  await eventually(async () => assert.equal((await row(id)).rating_comment, 'Hızlı yanıt için teşekkürler'));
  await page.reload();
  await page.waitForSelector('#offer[data-kind=closed]');
  assert.ok(await page.locator('.glass input').nth(3).isChecked(), 'what was chosen is remembered');
  await say(page, 'bir şey daha');
  await page.waitForSelector('#offer', { state: 'hidden' });
  await eventually(async () => assert.equal((await row(id)).status, 'active'));
});

test('away: shown from the first paint; asks for an address once, and refuses an invalid one with a message; axe', async () => {
  await ask('set_away', { away: true });
  try {
    const html = await (await (await env.newContext()).request.get('/?lang=tr')).text();
    assert.match(html, /id="state"[^>]*>Şu an uzaktayız, sonra yanıtlarız</);
    const page = await visit(await env.newContext(PHONE), 'Gece');
    assert.equal(await page.locator('#offer').isVisible(), false, 'not before the first message');
    await say(page, 'açık mısınız?');
    await page.waitForSelector('#offer[data-kind=away]');
    const id = await threadOf(page);
    await page.click('.contact button[type=submit]');
    await page.waitForSelector('#contact-email-problem:not([hidden])');
    assert.equal(await focused(page), 'contact-email');
    const box = (selector) => page.locator(selector).boundingBox();
    const [under, number] = await Promise.all(['#contact-email-problem', '#contact-phone'].map(box));
    assert.ok(under.y + under.height <= number.y, 'what is wrong with the address stands below it');
    await page.setViewportSize({ width: 390, height: 480 });
    for (const button of await page.locator('.offer-actions button').all()) {
      await eventually(async () => assert.ok(await button.evaluate((b) => {
        const { x, y, width, height } = b.getBoundingClientRect();
        return b.contains(document.elementFromPoint(x + width / 2, y + height / 2)) && b.contains(document.elementFromPoint(x + width / 2, y + height - 2));
      }), 'a button is covered'));
    }
    await page.setViewportSize(PHONE.viewport);
    await page.fill('#contact-email', 'olmaz');
    await page.press('#contact-email', 'Enter');
    assert.match(await page.textContent('#contact-email-problem'), /eksik ya da yanlış/);
    await cleanInBoth(page, 'away, wrong address');
    await page.fill('#contact-email', 'gece@example.com');
    await page.press('#contact-email', 'Enter');
    await page.waitForSelector('#offer', { state: 'hidden' });
    await eventually(async () => assert.equal((await row(id)).email, 'gece@example.com'));
    assert.equal(await focused(page), 'text', 'back to writing');
    const noted = 'Teşekkürler. Size şuradan ulaşabiliriz: gece@example.com';
    await shows(page, ['açık mısınız?', noted]);
    await page.reload();
    await connected(page);
    assert.equal(await page.locator('#offer').isVisible(), false, 'asked once');
    await shows(page, ['açık mısınız?', noted]);
  } finally {
    await ask('set_away', { away: false });
  }
});

test('blocked, deleted, menu, emoji picker and offline page; axe', async () => {
  const page = await visit(await env.newContext(), 'Engelli');
  await say(page, 'merhaba');
  const id = await threadOf(page);
  await page.click('#menu summary');
  await cleanInBoth(page, 'menu');
  await page.keyboard.press('Escape');
  await page.click('#emoji');
  await page.waitForSelector('#emoji-panel');
  await cleanInBoth(page, 'emoji');
  await page.keyboard.press('Escape');
  const post = (path, body) => agent.evaluate(([to, what]) => fetch(to, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(what) }).then((r) => r.status), [path, body]);
  assert.equal(await post('/api/threads/block', { thread_id: id }), 200);
  await page.waitForSelector('#offer[data-kind=blocked]');
  await cleanInBoth(page, 'blocked');
  assert.equal(await post('/api/threads/unblock', { thread_id: id }), 200);
  await page.waitForSelector('#offer', { state: 'hidden' });
  assert.equal(await post('/api/messages/clear', { thread_id: id }), 200);
  await page.waitForSelector('#offer[data-kind=ended]');
  await cleanInBoth(page, 'deleted');
  await say(page, 'yeniden');
  await page.waitForSelector('#offer', { state: 'hidden' });
  await page.goto('/offline');
  await cleanInBoth(page, 'offline page');
});

test('unread messages are counted in title and icon and announced to screen readers; the count ends when they are read', async () => {
  const page = await visit(await env.newContext(), 'Okunmamış');
  await say(page, 'merhaba');
  await openThread(agent, 'Okunmamış');
  const plain = await page.title();
  const icon = await page.getAttribute('link[rel=icon]', 'href');
  // The visitor has scrolled up and does not see new messages.
  await page.evaluate(() => { document.getElementById('log').style.minBlockSize = '4000px'; });
  await eventually(async () => { await page.evaluate(() => { document.getElementById('scroller').scrollTop = 0; }); assert.ok(await page.isVisible('#pill')); });
  await say(agent, 'bir');
  await say(agent, 'iki');
  await eventually(async () => assert.equal(await page.title(), `(2) ${plain}`));
  await eventually(async () => assert.match(await page.getAttribute('link[rel=icon]', 'href'), /^data:image\/png/));
  assert.deepEqual(await page.locator('#said p').allTextContents(), ['Yeni mesaj: bir', 'Yeni mesaj: iki']);
  await eventually(async () => assert.equal(await stateOf(agent, 'iki'), 'delivered'), 'there, not read');
  await page.evaluate(() => { document.getElementById('log').style.minBlockSize = ''; });
  await page.click('#pill');
  await eventually(async () => assert.equal(await page.title(), plain));
  assert.ok((await page.getAttribute('link[rel=icon]', 'href')).endsWith(icon));
  await eventually(async () => assert.equal(await stateOf(agent, 'iki'), 'read'));
});

test('sound: off until switched on, which is remembered and plays a sample', async () => {
  const context = await env.newContext();
  await context.addInitScript(() => {
    window.tones = 0;
    const { start } = OscillatorNode.prototype;
    OscillatorNode.prototype.start = function tone(...args) { window.tones++; return start.apply(this, args); };
  });
  const page = await visit(context, 'Sesli');
  await page.click('#menu summary');
  assert.equal(await page.getAttribute('#sound', 'aria-checked'), 'false');
  assert.equal(await page.evaluate(() => window.tones), 0);
  await page.click('#sound');
  await eventually(async () => assert.ok(await page.evaluate(() => window.tones) > 0), 'a sample is played');
  await page.reload();
  assert.equal(await page.getAttribute('#sound', 'aria-checked'), 'true');
});

test('a double tap on Send sends once, and the button stays where it is', async () => {
  const page = await visit(await env.newContext(PHONE), 'Çift Dokunuş');
  const place = () => page.locator('#send').boundingBox();
  const empty = await place();
  assert.equal(await page.getAttribute('#send', 'aria-disabled'), 'true');
  await page.fill('#text', 'bir kere');
  assert.deepEqual(await place(), empty);
  const [x, y] = [empty.x + empty.width / 2, empty.y + empty.height / 2];
  await page.touchscreen.tap(x, y);
  await page.touchscreen.tap(x, y);
  await shows(page, ['bir kere']);
  assert.deepEqual(await place(), empty);
  assert.ok(await page.locator('#recorder').isHidden(), 'nothing is recorded');
  const [mic, send] = await Promise.all(['#mic', '#send'].map((one) => page.locator(one).evaluate((b) => getComputedStyle(b).backgroundColor)));
  assert.notEqual(mic, send);
});

test('times follow the clock of the reader’s region', async () => {
  for (const [locale, form] of [['en-GB', /^\d\d:\d\d$/], ['en-US', /^\d{1,2}:\d\d\s[AP]M$/], ['de-DE', /^\d{1,2}:\d\d\s[AP]M$/]]) { // a German browser has no English locale, so the page's language is used
    const page = await visit(await env.newContext({ locale }), `Reader ${locale}`, { lang: 'en' });
    await say(page, 'hello');
    await page.waitForSelector(STORED_MESSAGE);
    assert.match(await page.locator('.meta time').last().textContent(), form, locale);
  }
});

test('a malformed language tag of the browser does not stop the page', async () => {
  const context = await env.newContext({ locale: 'en-US' });
  await context.addInitScript(() => Object.defineProperty(navigator, 'languages', { value: ['en-US@posix', 'en-GB'] }));
  const page = await visit(context, 'Posix', { lang: 'en' });
  await say(page, 'which clock?');
  assert.match(await page.locator('.meta time').last().textContent(), /^\d\d:\d\d$/); // of en-GB
});

test('emoji picker by keyboard: open, move, choose, back to the text field; a message of few emoji is shown large', async () => {
  const page = await visit(await env.newContext(), 'Emoji');
  await page.focus('#emoji');
  await page.keyboard.press('Enter');
  await page.waitForSelector('#emoji-panel');
  await page.keyboard.press('ArrowRight');
  await page.keyboard.press('ArrowDown');
  const chosen = await page.evaluate(() => document.activeElement.textContent);
  await page.keyboard.press('Enter');
  await page.keyboard.press('Escape');
  assert.equal(await focused(page), 'text');
  assert.equal(await page.inputValue('#text'), chosen);
  await page.keyboard.press('Enter');
  await shows(page, [chosen]);
  await page.waitForSelector('.bubble.large');
  await say(page, `tamam ${chosen}`);
  await shows(page, [chosen, `tamam ${chosen}`]);
  assert.equal(await page.locator('.bubble.large').count(), 1);
});

/** Fails if an element or the page overflows sideways. */
async function fits(page, what) {
  const wide = await page.evaluate(() => [...document.querySelectorAll('body *')].filter((e) => {
    const box = e.getBoundingClientRect();
    return box.width && e.checkVisibility({ opacityProperty: true, visibilityProperty: true }) && !e.closest('.unseen, svg') && (box.left < -1 || box.right > document.documentElement.clientWidth + 1);
  }).map((e) => `${e.tagName}.${e.className}`));
  assert.deepEqual(wide, [], what);
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= document.documentElement.clientWidth), what);
}

test('right-to-left text direction mirrors the layout', async () => {
  const context = await env.newContext();
  await context.route((url) => url.pathname === '/', async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, body: (await response.text()).replace('dir="ltr"', 'dir="rtl"') });
  });
  const page = await visit(context, 'ليلى');
  await say(page, 'مرحبا، متى يصل الطلب؟');
  await openThread(agent, 'ليلى');
  await say(agent, 'Yarın geliyor.');
  await shows(page, ['مرحبا، متى يصل الطلب؟', 'Yarın geliyor.']);
  assert.equal(await page.getAttribute('html', 'dir'), 'rtl');
  const box = async (selector) => page.locator(selector).first().boundingBox();
  const [own, theirs, scroller, send, attach, talk, welcome] = await Promise.all(['.own .bubble', '.message:not(.own) .bubble', '#scroller', '#mic', '#attach', '#talk', '.welcome'].map(box));
  const middle = (b) => b.x + b.width / 2;
  assert.ok(middle(own) < middle(scroller) && middle(theirs) > middle(scroller), 'own bubbles on the left');
  assert.ok(send.x < attach.x, 'the send button on the left');
  assert.ok(welcome.x > talk.x, 'the greeting on the right');
  const [name, face, line] = await Promise.all(['.who h1 bdi', '#team-face', '.who h1'].map(box));
  assert.ok(Math.abs(name.x + name.width - line.x - line.width) < 2 && face.x > name.x, 'the name is next to the face, whatever its script');
  await fits(page, 'right to left');
  await page.setViewportSize({ width: 390, height: 844 });
  await page.click('#menu summary');
  await fits(page, 'right to left, phone, menu');
});

test('320 px width and 200% zoom: everything is reachable and nothing is cut off', async () => {
  const small = await visit(await env.newContext({ viewport: { width: 320, height: 568 }, hasTouch: true, isMobile: true }), 'Küçük');
  await say(small, 'w'.repeat(10_000));
  await eventually(async () => assert.match(await stateOf(small, 'www'), /sent|delivered/), 'sent', 15_000);
  await fits(small, '320 px');
  await small.click('#menu summary');
  await fits(small, '320 px, menu');
  // 1280 × 720 at 200% zoom is 640 × 360 CSS pixels.
  const zoomed = await visit(await env.newContext({ viewport: { width: 640, height: 360 }, deviceScaleFactor: 2 }), 'Büyüteç');
  await say(zoomed, 'merhaba');
  await fits(zoomed, '200 %');
  const send = await zoomed.locator('#text').boundingBox();
  assert.ok(send.y + send.height <= 360, 'the text field is visible');
});

test('all controls are at least 24 by 24 px', async () => {
  const page = await visit(await env.newContext(PHONE), 'Parmak');
  await say(page, 'merhaba');
  await page.click('#menu summary');
  const small = await page.evaluate(() => [...document.querySelectorAll('button, a, input, summary, [role=switch]')].filter((e) => e.checkVisibility() && !e.closest('.unseen') && !e.classList.contains('unseen') && !e.closest('.bubble')).map((e) => [e, e.getBoundingClientRect()]).filter(([, b]) => b.width < 24 || b.height < 24).map(([e, b]) => `${e.outerHTML.slice(0, 80)} ${b.width}×${b.height}`));
  assert.deepEqual(small, []);
});

test('after visiting another page, the conversation is restored with the messages sent meanwhile', async () => {
  const page = await visit(await env.newContext(), 'Gidip Gelen');
  await say(page, 'gidiyorum');
  await openThread(agent, 'Gidip Gelen');
  await page.goto('/yok');
  await say(agent, 'bekliyoruz');
  await page.goBack();
  await connected(page);
  await shows(page, ['gidiyorum', 'bekliyoruz']);
});

test('the page is restored from the back/forward cache, reconnects, and gets the messages sent meanwhile', async () => {
  // Playwright disables this cache by default.
  const browser = await chromium.launch({ ...DESKTOP_CHROMIUM, ignoreDefaultArgs: ['--disable-back-forward-cache'] });
  try {
    const page = await visit(await browser.newContext({ baseURL: env.server.url, locale: 'tr-TR' }), 'Önbellekten');
    await say(page, 'gidiyorum');
    await page.waitForSelector(STORED_MESSAGE);
    await page.evaluate(() => { window.left = true; });
    await openThread(agent, 'Önbellekten');
    await page.goto('/yok');
    await say(agent, 'bekliyoruz');
    await page.goBack({ waitUntil: 'commit' }); // a page from the cache fires no load event
    assert.equal(await page.evaluate(() => window.left), true, 'it was reloaded');
    await connected(page);
    await shows(page, ['gidiyorum', 'bekliyoruz']);
    await say(page, 'geldim');
    await shows(agent, ['gidiyorum', 'bekliyoruz', 'geldim']);
  } finally {
    await browser.close();
  }
});

test('missed events are made up for after resync: edited, read, closed', async () => {
  const context = await env.newContext();
  const events = await interceptEvents(context);
  const page = await visit(context, 'Duymayan', { lang: 'en' });
  await say(page, 'when?');
  await openThread(agent, 'Duymayan');
  await say(agent, 'at siix');
  await shows(page, ['when?', 'at siix']);
  await page.evaluate(() => { window.same = true; });
  events.drop = true;
  await say(page, 'well?');
  await shows(agent, ['when?', 'at siix', 'well?']);
  await agent.locator('#text').press('ArrowUp');
  await agent.locator('#text').fill('at six');
  await agent.locator('#text').press('Enter');
  await shows(agent, ['when?', 'at six', 'well?']);
  await agent.click('#finish');
  await page.waitForTimeout(500);
  await shows(page, ['when?', 'at siix', 'well?']);
  assert.equal(await stateOf(page, 'well?'), 'sent');
  events.drop = false;
  events.inject('resync', {});
  await shows(page, ['when?', 'at six', 'well?']);
  await page.waitForSelector('#offer[data-kind=closed]');
  await eventually(async () => assert.equal(await stateOf(page, 'well?'), 'read'));
  assert.equal(await page.evaluate(() => window.same), true);
});

test('after sleep the page detects a dead connection and misses no message', async () => {
  const context = await env.newContext();
  const sockets = [];
  let asleep = false;
  await context.routeWebSocket(/socket\.io/, (socket) => {
    const server = socket.connectToServer();
    socket.onMessage((frame) => { if (!asleep) server.send(frame); });
    server.onMessage((frame) => { if (!asleep) socket.send(frame); });
    sockets.push(socket);
  });
  const page = await visit(context, 'Uyuyan');
  await say(page, 'iyi geceler');
  await openThread(agent, 'Uyuyan');
  asleep = true; // the socket stays open but passes no data
  await say(agent, 'günaydın');
  asleep = 'waking';
  const open = sockets.length;
  // On waking, the page sends a probe by the old connection, gets no answer, and reconnects.
  await page.evaluate(() => { document.dispatchEvent(new Event('visibilitychange')); });
  await eventually(async () => assert.ok(sockets.length > open), 'a new connection', 15_000);
  asleep = false;
  await shows(page, ['iyi geceler', 'günaydın'], 15_000);
});
