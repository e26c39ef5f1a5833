// The widget on difficult pages: the chat server is down, the page replaces its document, copies the script, opens dialogs, or
// passes invalid details of customers.
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { after, afterEach, before, test } from 'node:test';
import { eventually, startEnv, PHONE, say, stateOf, STORED, texts } from './harness.mjs';
import { chat, introduce as introduceIn, launcher, openUp, panel, Site } from './host-site.mjs';

const SECRET = 'only the servers of shop and chat know this';
const proof = (id) => createHmac('sha256', SECRET).update(id).digest('hex');

let env;
let shop;
let code; // of /widget.js
before(async () => {
  shop = await new Site('127.0.0.1').start();
  env = await startEnv({ CORS_ORIGINS: shop.url, IDENTITY_SECRET: SECRET });
  env.hosts.push(shop.url);
  shop.page('*', { server: env.server.url });
  code = await (await fetch(`${env.server.url}/widget.js`)).text();
});
afterEach(() => env.closeContexts());
after(async () => {
  await env.close();
  await shop.stop();
});

/**
 * Opens a page and collects the widget's console messages in `said`. The test has to `read` error messages, otherwise the file
 * fails.
 */
async function openSite(options = {}) {
  const context = await env.newContext(options);
  await openUp(context);
  const page = await context.newPage();
  const said = [];
  page.on('console', (message) => { if (message.text().startsWith('Sohbet:')) said.push(message.text()); });
  return { context, page, said };
}

/** Removes expected errors from the complaints. */
const expectError = (...lines) => { for (const line of lines) env.problems.splice(env.problems.findIndex((one) => one.includes(line)), 1); };

async function introduce(page, name) {
  await launcher(page).click();
  await introduceIn(page, name);
  return chat(page);
}

/** The class or tag of the element that a click at the centre of a node would hit. */
const reached = (node) => node.evaluate((one) => {
  const { left, top, width, height } = one.getBoundingClientRect();
  const at = one.getRootNode().elementFromPoint(left + width / 2, top + height / 2);
  return at?.closest('button')?.className || at?.tagName;
});

test('if the chat server is down, the full-screen panel on a phone can be closed, and shows an error', async () => {
  const { context, page, said } = await openSite({ ...PHONE, reducedMotion: 'reduce' });
  const frames = `${env.server.url}/widget?*`;
  await context.route(frames, (route) => route.abort('connectionrefused'));
  await page.goto(shop.url);
  await launcher(page).tap();
  const close = page.getByRole('button', { name: 'Sohbeti kapat' });
  await close.waitFor();
  assert.equal(await reached(launcher(page)), 'launcher', 'above the frame');
  assert.ok(await page.locator('sohbet-chat iframe').isHidden(), 'the browser’s error page is not shown');
  await close.tap();
  await panel(page).waitFor({ state: 'hidden' });
  await launcher(page).tap();
  await page.getByText('Sohbet yüklenemedi. Sunucusu yanıt vermiyor').waitFor();
  assert.equal(await reached(launcher(page)), 'launcher', 'above the message');
  assert.equal(said.length, 1);
  assert.ok(said[0].includes(`${env.server.url}/widget does not answer`), said[0]);
  expectError('does not answer');

  await context.unroute(frames);
  await page.getByRole('button', { name: 'Tekrar dene' }).tap();
  await chat(page).locator('#name').waitFor();
  await launcher(page).waitFor({ state: 'hidden' }); // the chat has its own close button
  // If the frame reloads and fails, the panel can still be closed.
  await context.route(frames, (route) => route.abort('connectionrefused'));
  await page.evaluate(() => window.Sohbet('reset'));
  await launcher(page).tap();
  await close.waitFor();
  await close.tap();
  await panel(page).waitFor({ state: 'hidden' });
});

test('a frame that loads after the timeout is shown', async () => {
  const { context, page } = await openSite();
  let go;
  const late = new Promise((resolve) => { go = resolve; });
  await context.route(`${env.server.url}/widget?*`, async (route) => { await late; await route.continue(); });
  await page.goto(shop.url);
  await launcher(page).click();
  await page.getByText('Sohbet yüklenemedi.').waitFor();
  expectError('does not answer');
  go();
  await chat(page).locator('#name').waitFor();
  await page.getByText('Sohbet yüklenemedi.').waitFor({ state: 'hidden' });
});

test('the button is added only after the page has loaded', async () => {
  shop.page('/slow', { server: env.server.url, body: '<main>metin</main><img src="/slow.png" alt="">' });
  const { page } = await openSite();
  let go;
  const late = new Promise((resolve) => { go = resolve; });
  await page.route('**/slow.png', async (route) => { await late; await route.abort(); });
  await page.goto(`${shop.url}/slow`, { waitUntil: 'commit' });
  await page.waitForFunction(() => window.Sohbet?.loaded);
  await page.evaluate(() => window.Sohbet('open'));
  assert.equal(await page.locator('sohbet-chat').count(), 0);
  go();
  await chat(page).locator('#name').waitFor();
});

test('when a site replaces its whole document, the button, the open panel and its draft are kept', async () => {
  const { page } = await openSite();
  await page.goto(shop.url);
  const talk = await introduce(page, 'Belge Yenilenir');
  await say(talk, 'ilk');
  await eventually(async () => assert.match(await stateOf(talk, 'ilk'), STORED));
  const rewrites = {
    'innerHTML of the document': () => { document.documentElement.innerHTML = '<head><title>yeni</title></head><body><p>yeni</p></body>'; },
    'another root element': () => {
      const root = document.createElement('html');
      root.append(document.createElement('head'), document.createElement('body'));
      document.replaceChild(root, document.documentElement);
    },
    'all that a framework does not know': () => { for (const node of [...document.documentElement.children]) if (!/^(HEAD|BODY)$/.test(node.tagName)) node.remove(); },
  };
  for (const [what, rewrite] of Object.entries(rewrites)) {
    await talk.locator('#text').pressSequentially(`yarım ${what.length}`);
    await talk.locator('body').evaluate(() => { window.before = true; });
    await page.evaluate(rewrite);
    await eventually(async () => assert.equal(await talk.locator('body').evaluate(() => window.before), undefined), `${what}: loaded again`);
    await talk.locator('#talk[data-connection=online]').waitFor();
    await panel(page).waitFor();
    assert.equal(await talk.locator('#text').inputValue(), `yarım ${what.length}`, what);
    assert.deepEqual(await texts(talk), ['ilk'], what);
    await talk.locator('#text').fill('');
    assert.equal(await page.locator('sohbet-chat').count(), 1, what);
  }
  await page.evaluate(() => window.Sohbet('close'));
  await page.locator('sohbet-chat').evaluate((node) => node.remove());
  await page.evaluate(() => window.Sohbet('open'));
  await panel(page).waitFor();
});

const NAMELESS = 'Sohbet: which server?';
test('a script that is bundled with others, copied, inlined or evaluated', async () => {
  const { page, said } = await openSite();
  const html = (script) => `<!doctype html><html lang="tr"><head><title>x</title></head><body><p>metin</p>${script}</body></html>`;
  shop.file('/all.js', `window.other = 1;\n${code}`, 'text/javascript');
  shop.file('/js/widget.js', code, 'text/javascript');
  shop.file('/js/widget', html('bulunamadı')); // an unrelated page of the shop
  const inline = code.replaceAll('</script', '<\\/script');
  const named = `window.SohbetServer = '${env.server.url}'`;
  const run = `(0, eval)(await (await fetch('/all.js')).text())`;
  for (const [name, script, works] of [
    ['joined', '<script src="/all.js"></script>', false],
    ['joined, named', `<script src="/all.js" data-server="${env.server.url}" data-lang="en"></script>`, true],
    ['joined, named elsewhere', `<script data-server="${env.server.url}/" data-lang="en"></script><script src="/all.js"></script>`, true],
    ['joined, named by a variable', `<script>${named}</script><script src="/all.js"></script>`, true],
    ['copied, named', `<script src="/js/widget.js" data-server="${env.server.url}"></script>`, true],
    ['inline', `<script>${inline}</script>`, false],
    ['inline, named', `<script>${named}</script><script>${inline}</script>`, true],
    ['from a string', `<script type="module">${run}</script>`, false],
    ['from a string, named', `<script type="module">${named}; ${run}</script>`, true],
    ['badly named', '<script src="/all.js" data-server="chat.example"></script>', false],
  ]) {
    said.length = 0;
    shop.file('/optimised', html(script));
    await page.goto(`${shop.url}/optimised`);
    if (works) {
      await page.locator('sohbet-chat').waitFor({ state: 'attached' });
      await page.evaluate(() => window.Sohbet('open'));
      await chat(page).locator('#name').waitFor();
      assert.deepEqual(said, [], name);
    } else {
      await eventually(() => assert.equal(said.length, 1), name);
      assert.ok(said[0].startsWith(NAMELESS), `${name}: ${said}`);
      assert.equal(await page.locator('sohbet-chat').count(), 0, name);
      expectError(NAMELESS);
    }
  }
  // A copy named widget.js takes the shop for the chat server: the panel must not show the shop's page.
  said.length = 0;
  shop.file('/optimised', html('<script src="/js/widget.js"></script>'));
  await page.goto(`${shop.url}/optimised`);
  await launcher(page).click();
  await page.getByText('Sohbet yüklenemedi.').waitFor();
  assert.ok(await page.locator('sohbet-chat iframe').isHidden());
  assert.equal(said.length, 1);
  assert.ok(said[0].includes('/js/widget does not answer') && said[0].includes('data-server'), said[0]);
  expectError('does not answer');
});

test('invalid customer details do not prevent writing, and are reported to the site', async () => {
  for (const [who, lines] of [
    [{ id: 42, hash: proof('42').toUpperCase(), name: 'Ş'.repeat(200), phone: '+90 555 111 22 33 dahili 44', email: 'yok' },
      ['name is cut to 100 characters', 'email is left out', 'phone is left out']],
    [{ id: 'k-1', hash: proof('k-1'), name: 7, phone: 905551112233, email: { a: 1 } }, ['email is left out']],
    // The hash is wrong too, so the server does not accept the identity at all.
    [{ id: 'k-2', hash: proof('k-3'), name: 'Uzun '.repeat(60), phone: ['x'] }, ['name is cut to 100 characters', 'phone is left out', 'refused']],
  ]) {
    const { page, said } = await openSite();
    await page.goto(shop.url);
    await launcher(page).waitFor();
    await page.evaluate((one) => { window.Sohbet('identify', one); window.Sohbet('open'); }, who);
    const talk = chat(page);
    await talk.locator('#talk[data-stage=talk][data-connection=online]').waitFor();
    await say(talk, 'yazabiliyorum');
    await eventually(async () => assert.match(await stateOf(talk, 'yazabiliyorum'), STORED));
    assert.equal(said.length, lines.length, said.join('\n'));
    for (const [i, line] of lines.entries()) assert.ok(said[i].startsWith('Sohbet: identify: ') && said[i].includes(line), `${said[i]}, not ${line}`);
    if (lines.includes('refused')) expectError('refused');
  }
});

test('the chat can be used while the page has a modal dialog open', async () => {
  shop.page('/dialog', { server: env.server.url, body: '<main>metin</main><dialog id="cart"><p>Sepet</p><button onclick="cart.close()">Kapat</button></dialog>' });
  const { page } = await openSite();
  await page.goto(`${shop.url}/dialog`);
  const talk = await introduce(page, 'Sepette Kalan');
  await talk.locator('#text').pressSequentially('yarım');
  for (const over of ['close', 'remove']) {
    await page.evaluate(() => window.cart.showModal());
    await eventually(async () => assert.equal(await page.evaluate(() => document.querySelector('sohbet-chat')?.parentNode.id), 'cart'), 'outside of it all is inert');
    assert.equal(await reached(launcher(page)), 'launcher');
    await talk.locator('#talk[data-connection=online]').waitFor();
    await talk.locator('#text').click();
    await page.keyboard.press('End');
    await page.keyboard.type(` ${over}`);
    await eventually(async () => assert.ok((await talk.locator('#text').inputValue()).endsWith(over)));
    await page.evaluate((how) => window.cart[how](), over);
    await eventually(async () => assert.equal(await page.evaluate(() => document.querySelector('sohbet-chat')?.parentNode.tagName), 'HTML'), over);
    await panel(page).waitFor();
    await talk.locator('#talk[data-connection=online]').waitFor();
    assert.match(await talk.locator('#text').inputValue(), new RegExp(`^yarım.*${over}$`));
  }
});

test('button and panel are not printed', async () => {
  const { page } = await openSite();
  await page.goto(shop.url);
  await launcher(page).waitFor();
  await page.emulateMedia({ media: 'print' });
  assert.ok(await launcher(page).isHidden());
});

for (const colorScheme of ['light', 'dark']) {
  test(`button and panel have the same colour, ${colorScheme}`, async () => {
    for (const color of ['', '#ffd400', 'rebeccapurple', 'no colour']) {
      shop.page('/colour', { server: env.server.url, attributes: color && `data-color="${color}"` });
      const { page } = await openSite({ colorScheme });
      await page.goto(`${shop.url}/colour`);
      await launcher(page).click();
      await chat(page).locator('#name').waitFor();
      const ground = (node) => node.evaluate((one) => getComputedStyle(one).backgroundColor);
      const button = await ground(launcher(page));
      assert.equal(button, await ground(chat(page).locator('#start-button')), color);
      assert.equal(button === (colorScheme === 'light' ? 'rgb(11, 107, 97)' : 'rgb(79, 195, 179)'), color === '' || color === 'no colour', `${color}: ${button}`);
      await page.close();
    }
  });
}
