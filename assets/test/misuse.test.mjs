// Misuse and failures: double clicks, oversized text, markup, crashes, two tabs, no storage.
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { connected, eventually, fits, startEnv, openThread, PHONE, removeThread, say, shows, signIn, stateOf, STORED, STORED_MESSAGE, texts, visit } from './harness.mjs';

let env;
before(async () => { env = await startEnv(); });
afterEach(() => env.closeContexts());
after(() => env.close());

test('double clicks on Start and Send act only once', async () => {
  const context = await env.newContext();
  const page = await context.newPage();
  await page.goto('/');
  await page.fill('#name', 'Çift Tık');
  await page.dblclick('#start-form button[type=submit]');
  await connected(page);
  await page.fill('#text', 'only once');
  await page.dblclick('#send');
  await eventually(async () => assert.match(await stateOf(page, 'only once'), STORED));
  const agent = await signIn(await env.newContext(), env.server);
  await openThread(agent, 'Çift Tık');
  assert.equal(await agent.locator('.row', { hasText: 'Çift Tık' }).count(), 1);
  await shows(agent, ['only once']);
});

test('an empty name and an empty message are not sent', async () => {
  const page = await (await env.newContext()).newPage();
  await page.goto('/');
  await page.fill('#name', '   ');
  await page.click('#start-form button[type=submit]');
  await page.waitForSelector('#name-problem:not([hidden])');
  await page.fill('#name', 'Boş Mesaj');
  await page.press('#name', 'Enter');
  await connected(page);
  await say(page, '   \n  ');
  assert.equal(await page.getAttribute('#send', 'aria-disabled'), 'true', 'nothing to send');
  await say(page, 'x');
  await shows(page, ['x']);
});

test('20 kB of text is refused with a message and kept; exactly 10,000 characters are sent', async () => {
  const page = await visit(await env.newContext(PHONE), 'Uzun Yazan');
  const long = 'çok '.repeat(5_000);
  await say(page, long);
  await page.waitForSelector('#composer-problem:not([hidden])');
  assert.match(await page.textContent('#composer-problem'), /19\.999.*10\.000/);
  assert.equal(await page.inputValue('#text'), long);
  assert.deepEqual(await texts(page), []);
  // The draft also survives a reload.
  await page.waitForTimeout(400);
  await page.reload();
  await connected(page);
  assert.equal(await page.inputValue('#text'), long);
  const most = '🫖'.repeat(10_000);
  await say(page, most);
  await eventually(async () => assert.match(await stateOf(page, '🫖'), STORED), 'the longest message', 15_000);
  await page.reload();
  await shows(page, [most]);
});

test('a very long word does not break the layout', async () => {
  const page = await visit(await env.newContext(PHONE), 'A'.repeat(100));
  await say(page, 'w'.repeat(10_000));
  await eventually(async () => assert.match(await stateOf(page, 'www'), STORED));
  assert.ok(await fits(page));
  assert.ok(await page.evaluate(() => { const s = document.getElementById('scroller'); return s.scrollWidth <= s.clientWidth; }));
});

test('markup in a name and in a message is shown as text', async () => {
  const evil = '<script>document.title="owned"</script><img src=x onerror="document.title=\'owned\'">';
  const name = `<b>Kötü</b> ${evil}`.slice(0, 100);
  const page = await visit(await env.newContext(), name);
  await say(page, evil);
  await say(page, 'javascript:alert(1) & https://example.com/?a=<b>&c="d"');
  const agent = await signIn(await env.newContext(), env.server);
  await openThread(agent, '<b>Kötü</b>');
  for (const one of [page, agent]) {
    await shows(one, [evil, 'javascript:alert(1) & https://example.com/?a=<b>&c="d"']);
    assert.equal(await one.locator('.bubble script, .bubble img, .bubble b').count(), 0);
    assert.deepEqual(await one.locator('.bubble a').evaluateAll((links) => links.map((a) => a.getAttribute('href'))), ['https://example.com/?a=']);
    assert.ok(!(await one.title()).includes('owned'));
  }
  assert.equal(await agent.textContent('#head-name'), name);
});

test('killing the server while messages are sent neither loses nor duplicates any', async () => {
  const page = await visit(await env.newContext(), 'Kesinti');
  const agent = await signIn(await env.newContext(), env.server);
  const sent = ['start'];
  await say(page, 'start');
  await openThread(agent, 'Kesinti');
  for (let round = 1; round <= 4; round++) {
    // Some are acknowledged before the crash, some are in flight, some are written after it.
    for (const part of ['a', 'b', 'c']) {
      sent.push(`${round}${part}`);
      await say(page, `${round}${part}`);
    }
    await env.server.kill('SIGKILL');
    sent.push(`${round}d`);
    await say(page, `${round}d`);
    await env.server.start();
    await connected(page);
  }
  await shows(agent, sent, 20_000);
  await eventually(async () => assert.equal(await page.locator(`.message:not(${STORED_MESSAGE})`).count(), 0), 'all sent');
  await page.reload();
  await shows(page, sent);
  assert.deepEqual(await outboxKeys(page), []);
});

test('unsent messages of a page closed while the server was down are sent when it is opened again', async () => {
  const context = await env.newContext();
  const page = await visit(context, 'Kapatan');
  await say(page, 'one');
  await eventually(async () => assert.match(await stateOf(page, 'one'), STORED));
  await env.server.kill('SIGKILL');
  await say(page, 'two');
  await say(page, 'three');
  await page.close();
  await env.server.start();
  const next = await context.newPage();
  await next.goto('/');
  await shows(next, ['one', 'two', 'three'], 15_000);
  await eventually(async () => assert.equal(await next.locator(STORED_MESSAGE).count(), 3), 'all sent');
  assert.deepEqual(await outboxKeys(next), []);
  const agent = await signIn(await env.newContext(), env.server);
  await openThread(agent, 'Kapatan');
  await shows(agent, ['one', 'two', 'three']);
});

/** Keys of the messages that the page has not sent yet. */
const outboxKeys = (page) => page.evaluate(() => Object.keys(localStorage).filter((key) => key.startsWith('sohbet.out.')));

test('polling is used if a proxy blocks WebSockets', async () => {
  const context = await env.newContext();
  await context.routeWebSocket(/.*/, (socket) => socket.close());
  const page = await visit(context, 'Vekil');
  await say(page, 'by polling');
  await eventually(async () => assert.match(await stateOf(page, 'by polling'), STORED), 'sent', 15_000);
  const agent = await signIn(await env.newContext(), env.server);
  await openThread(agent, 'Vekil');
  await say(agent, 'arrived');
  await shows(page, ['by polling', 'arrived']);
});

test('messages sent during a connection break are not lost if newer ones arrive first', async () => {
  const context = await env.newContext();
  let broken = false;
  const open = new Set();
  await context.routeWebSocket(/socket\.io/, (socket) => {
    if (broken) return; // never answers, like a dead network
    const server = socket.connectToServer();
    // Delays the ack of rejoining, so that live messages arrive before it.
    server.onMessage((frame) => {
      if (String(frame).includes('"resumed":true')) setTimeout(() => socket.send(frame), 1_500);
      else socket.send(frame);
    });
    open.add(socket);
  });
  await context.route(/socket\.io\/\?/, (route) => (broken ? route.abort() : route.continue()));
  const page = await visit(context, 'Tünel');
  await say(page, 'before');
  const agent = await signIn(await env.newContext(), env.server);
  await openThread(agent, 'Tünel');
  const expected = ['before'];
  const talkOn = async (text) => { expected.push(text); await say(agent, text); };

  broken = true;
  for (const socket of open) await socket.close();
  await page.waitForSelector('#talk:not([data-connection=online])');
  for (let i = 0; i < 5; i++) await talkOn(`during ${i}`);
  await say(page, 'from the tunnel');
  broken = false;
  // The agent continues writing while the visitor reconnects.
  for (let i = 0; (await page.getAttribute('#talk', 'data-connection')) !== 'online' || i < 5; i++) await talkOn(`after ${i}`);
  await eventually(async () => assert.deepEqual((await texts(page)).filter((text) => text !== 'from the tunnel'), expected), 'everything the agent said', 15_000);
  await eventually(async () => assert.deepEqual(await texts(agent), await texts(page)), 'the same order on both sides');
});

test('without the Socket.IO client the page shows an error and keeps unsent messages', async () => {
  const context = await env.newContext();
  // Simulates a binary built without npm whose CDN cannot be reached: the modules are served without the bundled client.
  const alone = (route) => route.fulfill({ contentType: 'text/javascript', body: "import '../js/visitor.js';" });
  await context.route('**/page/visitor.js', alone);
  const page = await context.newPage();
  await page.goto('/');
  await page.fill('#name', 'Eksik Yükleme');
  await page.press('#name', 'Enter');
  await page.waitForSelector('#connection:not([hidden])');
  assert.match(await page.textContent('#connection'), /Sayfayı yenileyin/);
  await say(page, 'kept');
  assert.equal(await stateOf(page, 'kept'), 'waiting');
  await context.unroute('**/page/visitor.js', alone);
  await page.reload();
  await connected(page);
  await eventually(async () => assert.match(await stateOf(page, 'kept'), STORED));
});

test('two tabs of one visitor are synchronised', async () => {
  const context = await env.newContext();
  const one = await visit(context, 'İki Sekme');
  const two = await context.newPage();
  await two.goto('/');
  await connected(two);
  await say(one, 'from one');
  await shows(two, ['from one']);
  await say(two, 'from two');
  await shows(one, ['from one', 'from two']);
  const agent = await signIn(await env.newContext(), env.server);
  await openThread(agent, 'İki Sekme');
  assert.equal(await agent.locator('.row', { hasText: 'İki Sekme' }).count(), 1);
  await say(agent, 'to both');
  await shows(one, ['from one', 'from two', 'to both']);
  await shows(two, ['from one', 'from two', 'to both']);

  // Both tabs have the same unsent message when the server is back; it is stored once.
  await env.server.kill();
  await say(one, 'written in the dark');
  await shows(two, ['from one', 'from two', 'to both', 'written in the dark']);
  await env.server.start();
  await connected(one);
  await connected(two);
  for (const page of [one, two, agent]) await shows(page, ['from one', 'from two', 'to both', 'written in the dark'], 15_000);
  await eventually(async () => assert.equal(await two.locator('.message[data-state=waiting], .message[data-state=sending]').count(), 0));
});

test('two tabs play one sound', async () => {
  const context = await env.newContext();
  await context.addInitScript(() => {
    window.rang = 0;
    const { start } = OscillatorNode.prototype;
    OscillatorNode.prototype.start = function tone(...args) { window.rang++; return start.apply(this, args); };
  });
  const one = await visit(context, 'İki Ses');
  await say(one, 'soru');
  await one.click('#menu summary');
  await one.click('#sound');
  const two = await context.newPage();
  await two.goto('/');
  await connected(two);
  await two.click('#menu summary'); // browsers play no sound before the first interaction
  const agent = await signIn(await env.newContext(), env.server);
  await openThread(agent, 'İki Ses');
  const tabs = [one, two];
  for (const tab of tabs) {
    await tab.evaluate(() => { Object.defineProperty(document, 'hidden', { value: true }); });
    await eventually(async () => assert.ok(await tab.evaluate(() => navigator.locks.query().then(({ held }) => held.length === 0))), 'the sound of the switch is over');
    await tab.evaluate(() => { window.rang = 0; });
  }
  await say(agent, 'cevap');
  for (const tab of tabs) await shows(tab, ['soru', 'cevap']);
  const rang = () => Promise.all(tabs.map((tab) => tab.evaluate(() => window.rang)));
  await eventually(async () => assert.ok((await rang()).some((n) => n > 0)), 'one of them rang');
  await one.waitForTimeout(500); // by now the other one would have played too
  assert.deepEqual((await rang()).sort(), [0, 2]);
});

test('a tab reloads once after the server was updated, when nothing is lost by that', async () => {
  const context = await env.newContext();
  let build = '';
  await context.route(/transport=polling/, (route) => route.abort()); // the fallback, which would bypass the change below
  await context.routeWebSocket(/socket\.io/, (socket) => {
    const server = socket.connectToServer();
    socket.onMessage((frame) => server.send(frame));
    server.onMessage((frame) => socket.send(build ? String(frame).replace(/"build":"\w+"/, `"build":"${build}"`) : frame));
  });
  const page = await visit(context, 'Eski Sekme');
  const mark = () => page.evaluate(() => { window.same = true; });
  const same = () => page.evaluate(() => window.same === true);
  await mark();
  await page.fill('#text', 'yarım');
  build = 'ffffffffffff';
  await env.server.restart();
  await connected(page);
  await page.waitForTimeout(2_500);
  assert.ok(await same(), 'not while text is being written');
  await page.press('#text', 'Enter');
  await eventually(async () => assert.match(await stateOf(page, 'yarım'), STORED));
  await eventually(async () => assert.ok(!await same()), 'reloaded');
  await connected(page);
  await shows(page, ['yarım']);

  await mark();
  await say(page, 'metin');
  await page.click('#emoji');
  await page.locator('#emoji-panel button').first().click();
  await page.press('#text', 'Enter');
  await page.setInputFiles('#pick', { name: 'not.txt', mimeType: 'text/plain', buffer: Buffer.from('bir not') });
  await page.locator('#tray li').waitFor();
  await page.click('#send');
  await eventually(async () => assert.equal(await page.locator(STORED_MESSAGE).count(), 4));
  assert.ok(await same(), 'once is enough');
});

test('a pasted sign-in code may contain other characters', async () => {
  const page = await (await env.newContext()).newPage();
  await page.goto('/login?lang=tr');
  const before = env.server.log.length;
  await page.click('#ask-button');
  await page.waitForSelector('#verify:not([hidden])');
  await eventually(() => assert.match(env.server.log.slice(before), /SIGN-IN CODE/));
  await page.focus('#code');
  await page.keyboard.insertText(env.server.code().replace(/^\d{3}/, 'kod: $& '));
  await page.waitForURL('**/admin');
});

test('a second tab that asks for the name follows the first one', async () => {
  const context = await env.newContext();
  const waiting = await context.newPage();
  await waiting.goto('/');
  await waiting.waitForSelector('#start');
  const first = await visit(context, 'Önce Giren');
  await say(first, 'hello');
  await shows(waiting, ['hello']);
});

test('without storage the page works until it is closed', async () => {
  const context = await env.newContext();
  await context.addInitScript(() => {
    for (const name of ['localStorage', 'sessionStorage']) {
      Object.defineProperty(window, name, { get() { throw new DOMException('denied', 'SecurityError'); } });
    }
  });
  const page = await visit(context, 'Depo Yok');
  await say(page, 'in memory');
  await eventually(async () => assert.match(await stateOf(page, 'in memory'), STORED));
  await env.server.restart();
  await connected(page);
  await say(page, 'still here');
  await eventually(async () => assert.match(await stateOf(page, 'still here'), STORED));
  await shows(page, ['in memory', 'still here']);
});

test('a conversation that an agent deleted can be continued', async () => {
  const page = await visit(await env.newContext(), 'Silinen');
  await say(page, 'before');
  const agent = await signIn(await env.newContext(), env.server);
  await openThread(agent, 'Silinen');
  await removeThread(agent);
  await agent.locator('.row', { hasText: 'Silinen' }).waitFor({ state: 'detached' });
  await shows(page, []);
  await say(page, 'after');
  await eventually(async () => assert.match(await stateOf(page, 'after'), STORED));
  await openThread(agent, 'Silinen');
  await shows(agent, ['after']);
});

test('the rate limit delays messages without losing any', async () => {
  const limited = await startEnv({ RATE_LIMIT_MESSAGE: '3/2s' });
  try {
    const page = await visit(await limited.newContext(), 'Hızlı');
    const lines = Array.from({ length: 7 }, (_, i) => `quick ${i}`);
    for (const line of lines) await say(page, line);
    await eventually(async () => assert.equal(await page.locator(STORED_MESSAGE).count(), 7), 'all sent', 30_000);
    await page.reload();
    await shows(page, lines);
  } finally {
    await limited.close();
  }
});
