// The console by keyboard alone; alerts while the agent looks elsewhere: title, icon, notification, sound, push.
import assert from 'node:assert/strict';
import { createECDH, randomBytes } from 'node:crypto';
import { after, before, test } from 'node:test';
import { eventually, startEnv, PHONE, say, shows, signIn, visit } from './harness.mjs';

let env;
const guests = {};
before(async () => {
  env = await startEnv();
  // In the order of waiting; the list shows the last message first.
  for (const name of ['Birinci', 'İkinci', 'Üçüncü']) {
    guests[name] = await visit(await env.newContext(), name);
    await say(guests[name], `ben ${name}`);
    await shows(guests[name], [`ben ${name}`]);
  }
});
after(() => env.close());

const focused = (page) => page.evaluate(() => document.activeElement.id);
const head = (page, name) => eventually(async () => assert.equal(await page.textContent('#head-name'), name));

test('a day’s work without a mouse', async () => {
  const page = await signIn(await env.newContext(), env.server);
  await page.waitForSelector('.row');
  const press = (key) => page.keyboard.press(key);
  // The longest waiting visitor, a reply, and the next one.
  await press('w');
  await head(page, 'Birinci');
  await press('r');
  assert.equal(await focused(page), 'text');
  await page.keyboard.type('hemen w');
  await press('Enter');
  await shows(page, ['ben Birinci', 'hemen w']); // letters typed in the composer are no shortcuts
  await press('Escape');
  assert.equal(await focused(page), 'threads');
  assert.equal(await page.textContent('#head-name'), 'Birinci', 'the conversation stays');
  await press('w');
  await head(page, 'İkinci');
  // A note, and back to the list.
  await press('n');
  assert.equal(await page.getAttribute('#composer', 'data-mode'), 'note');
  await page.keyboard.type('aranacak');
  await press('Enter');
  await page.locator('.message.note', { hasText: 'aranacak' }).waitFor();
  await press('Escape'); // leaves note mode
  assert.equal(await page.getAttribute('#composer', 'data-mode'), 'reply');
  await press('Escape');
  // Moving along the list: Birinci was answered last, so it is first.
  await press('k');
  await head(page, 'Üçüncü');
  await press('k');
  await head(page, 'Birinci');
  await press('j');
  await press('j');
  await head(page, 'İkinci');
  // Closing removes the conversation from the list of open ones; reopening adds it again.
  await press('e');
  await page.locator('.row', { hasText: 'İkinci' }).waitFor({ state: 'detached' });
  await press('e');
  await page.locator('.row', { hasText: 'İkinci' }).waitFor();
  // Blocking asks for confirmation; Escape cancels it and restores the focus.
  const before = await focused(page);
  await press('b');
  await page.waitForSelector('#confirm[open]');
  await press('Escape');
  assert.equal(await focused(page), before);
  // "/" focuses the search from anywhere.
  await press('/');
  assert.equal(await focused(page), 'search');
  await page.keyboard.type('üç');
  await eventually(async () => assert.deepEqual(await page.locator('.row-name').allTextContents(), ['Üçüncü']));
  await press('ArrowDown');
  assert.equal(await focused(page), 'threads');
  await press('Enter');
  await head(page, 'Üçüncü');
  await press('Escape');
  await press('/');
  await press('Escape'); // clears the search
  await eventually(async () => assert.equal(await page.locator('.row').count(), 3));
  await page.context().close();
});

test('the dialog lists the shortcuts and can switch single-character ones off permanently', async () => {
  const page = await signIn(await env.newContext(), env.server);
  await page.waitForSelector('.row');
  await page.keyboard.press('?');
  await page.waitForSelector('#keys-dialog[open]');
  const listed = await page.locator('#keys-list kbd').allTextContents();
  assert.deepEqual(listed, ['W', 'J', 'K', '/', 'R', 'N', 'E', 'T', 'I', 'B', 'X', 'Delete', 'Z', '?']);
  await page.click('#keys-on');
  await page.keyboard.press('Escape');
  await page.waitForSelector('#keys-dialog', { state: 'hidden' });
  await page.keyboard.press('w');
  await page.keyboard.press('?');
  assert.ok(await page.isVisible('#nobody'), 'nothing happens');
  assert.ok(await page.isHidden('#keys-dialog'));
  await page.reload();
  await page.waitForSelector('.row');
  await page.keyboard.press('w');
  assert.ok(await page.isVisible('#nobody'), 'still nothing, after a reload');
  await page.click('#menu summary');
  await page.click('#keys-open');
  await page.click('#keys-on');
  await page.keyboard.press('Escape');
  await page.waitForSelector('#keys-dialog', { state: 'hidden' });
  await page.keyboard.press('w');
  await eventually(async () => assert.ok(await page.isVisible('#head-name')));
  await page.context().close();
});

test('an agent who looks elsewhere is alerted by title, icon, sound and notification, each only if switched on', async () => {
  const context = await env.newContext();
  await context.addInitScript(() => {
    // Records the notifications and sounds, and permission requests.
    window.told = { asked: 0, notes: [], rang: 0 };
    class Told extends EventTarget {
      static permission = 'default';
      static async requestPermission() {
        window.told.asked++;
        Told.permission = 'granted';
        return 'granted';
      }
      constructor(title, { body, tag }) {
        super();
        window.told.notes.push({ title, body, tagged: Boolean(tag) });
        window.lastNote = this;
      }
      close() {}
    }
    window.Notification = Told;
    const start = OscillatorNode.prototype.start;
    OscillatorNode.prototype.start = function ring(...when) { window.told.rang++; return start.apply(this, when); };
  });
  const page = await signIn(context, env.server);
  await page.waitForSelector('.row');
  const told = () => page.evaluate(() => window.told);
  const icon = () => page.getAttribute('link[rel=icon]', 'href');
  assert.equal((await told()).asked, 0, 'nothing is asked on load');
  await page.click('#menu summary');
  await page.click('#notify');
  await eventually(async () => assert.equal(await page.getAttribute('#notify', 'aria-checked'), 'true'));
  await page.click('#sound');
  await eventually(async () => assert.equal((await told()).rang, 2), 'a sample is played when switched on');
  await page.keyboard.press('Escape');
  assert.equal((await told()).asked, 1);

  // While the list is visible: a sound, but no notification.
  await say(guests.Birinci, 'orada mısınız?');
  await eventually(async () => assert.equal((await told()).rang, 4));
  assert.deepEqual((await told()).notes, []);
  await eventually(async () => assert.match(await page.title(), /^\(\d+\) Konsol/));
  await eventually(async () => assert.match(await icon(), /^data:image\/png/));

  await page.evaluate(() => {
    Object.defineProperty(document, 'hidden', { value: true, configurable: true });
    document.dispatchEvent(new Event('visibilitychange'));
  });
  await say(guests.Birinci, 'bekliyorum');
  await eventually(async () => assert.deepEqual((await told()).notes, [{ title: 'Birinci', body: 'bekliyorum', tagged: true }]));
  // A click on the notification opens the conversation.
  await page.evaluate(() => {
    Object.defineProperty(document, 'hidden', { value: false, configurable: true });
    window.lastNote.dispatchEvent(new Event('click'));
    document.dispatchEvent(new Event('visibilitychange'));
  });
  await head(page, 'Birinci');
  // After all messages have been read, title and icon are normal again.
  for (const name of ['Birinci', 'İkinci', 'Üçüncü']) {
    await page.locator('.row', { hasText: name }).click();
    await head(page, name);
    await page.locator('.row', { hasText: name }).locator('.badge').waitFor({ state: 'hidden' }); // read once it is loaded
  }
  await eventually(async () => assert.equal(await page.title(), 'Konsol · Sohbet'));
  assert.match(await icon(), /favicon\.svg/);
  await page.context().close();
});

test('on a phone: one pane, the visitor pane opens and closes, and the composer stays above the keyboard', async () => {
  const page = await signIn(await env.newContext(PHONE), env.server);
  // Errors are shown in the visible pane: here, above the list.
  await page.evaluate(() => { Notification.requestPermission = async () => 'denied'; });
  await page.tap('#menu summary');
  await page.tap('#notify');
  await page.waitForSelector('#list-problem', { state: 'visible' });
  assert.match(await page.textContent('#list-problem'), /Bildirim/);
  await page.keyboard.press('Escape');
  await page.locator('.row', { hasText: 'İkinci' }).tap();
  await head(page, 'İkinci');
  await page.tap('#facts-open');
  await page.waitForSelector('#facts', { state: 'visible' });
  assert.equal(await focused(page), 'facts-close');
  await page.tap('#facts-close');
  await page.waitForSelector('#facts', { state: 'hidden' });
  assert.equal(await focused(page), 'facts-open');
  await page.setViewportSize({ width: 390, height: 420 });
  await page.fill('#text', 'kısa');
  const box = await page.locator('#send').boundingBox();
  assert.ok(box.y + box.height <= 420, 'send is above the keyboard');
  const scroller = await page.locator('#scroller').boundingBox();
  assert.ok(scroller.height > 100, 'and the last words are seen');
  await page.context().close();
});

test('pushes: subscribed when notifications are switched on, renewed at every visit, and unsubscribed', async () => {
  const context = await env.newContext({ serviceWorkers: 'allow' });
  const pair = createECDH('prime256v1');
  const keys = { p256dh: pair.generateKeys('base64url'), auth: randomBytes(16).toString('base64url') };
  // Tests cannot reach a push service: the browser's part is simulated, the server's is real.
  await context.addInitScript((of) => {
    Notification.requestPermission = async () => 'granted';
    Object.defineProperty(Notification, 'permission', { get: () => 'granted' });
    const made = () => ({
      endpoint: 'https://push.example.com/one', toJSON: () => ({ endpoint: 'https://push.example.com/one', keys: of }),
      unsubscribe: async () => { localStorage.removeItem('test.push'); return true; },
    });
    PushManager.prototype.getSubscription = async () => (localStorage.getItem('test.push') ? made() : null);
    PushManager.prototype.subscribe = async (how) => { localStorage.setItem('test.push', JSON.stringify(how)); return made(); };
  }, keys);
  const page = await signIn(context, env.server);
  const sent = [];
  page.on('response', async (response) => {
    if (response.url().includes('/api/push/')) sent.push({ path: new URL(response.url()).pathname, status: response.status(), body: response.request().postDataJSON(), answer: await response.json() });
  });
  await page.click('#menu summary');
  await page.click('#notify');
  await eventually(() => assert.deepEqual(sent.map(({ path, status }) => `${path} ${status}`), ['/api/push/key 200', '/api/push/subscribe 200']));
  assert.deepEqual(sent[1].body, { endpoint: 'https://push.example.com/one', keys, locale: 'tr' });
  const how = JSON.parse(await page.evaluate(() => localStorage.getItem('test.push')));
  assert.deepEqual(how, { userVisibleOnly: true, applicationServerKey: sent[0].answer.key });
  sent.length = 0;
  await page.reload();
  await eventually(() => assert.deepEqual(sent.map(({ path, status }) => `${path} ${status}`), ['/api/push/key 200', '/api/push/subscribe 200']));
  sent.length = 0;
  await page.click('#menu summary');
  await page.click('#notify');
  await eventually(() => assert.deepEqual(sent.map(({ path, status }) => `${path} ${status}`), ['/api/push/unsubscribe 200']));
  assert.equal(await page.evaluate(() => localStorage.getItem('test.push')), null);
  assert.equal(await page.getAttribute('#notify', 'aria-checked'), 'false');
  await context.close();
});
