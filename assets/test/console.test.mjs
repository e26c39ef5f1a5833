// The console: signing in and its errors, search, panes, deleting and undo, an expired session.
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { act, connected, interceptEvents, eventually, startEnv, openThread, PHONE, removeThread, say, shows, signIn, stateOf, STORED, texts, visit } from './harness.mjs';

let env;
before(async () => { env = await startEnv(); });
afterEach(() => env.closeContexts());
after(() => env.close());

test('signing in: a wrong code is refused, the right one opens the console, signing out ends the session', async () => {
  const context = await env.newContext();
  const page = await context.newPage();
  await page.goto('/admin');
  assert.equal(new URL(page.url()).pathname, '/login');
  await page.click('#ask-button');
  await page.waitForSelector('#verify:not([hidden])');
  assert.match(await page.textContent('#verify .notice'), /terminal/);
  const code = await eventually(() => env.server.code());
  await page.fill('#code', code === '000000' ? '111111' : '000000');
  await page.waitForSelector('#verify-problem:not([hidden])');
  assert.match(await page.textContent('#verify-problem'), /Kod yanlış/);
  await page.fill('#code', code);
  await page.waitForURL('**/admin');
  await page.click('#menu summary');
  await page.click('a[href="/logout"]');
  await page.waitForURL('**/login');
  await page.goto('/admin');
  assert.equal(new URL(page.url()).pathname, '/login');
});

test('a password is asked for before the code', async () => {
  const strict = await startEnv({ ADMIN_PASSWORD: 'a long enough password 4821', RATE_LIMIT_LOGIN: '5/15m' });
  try {
    const page = await (await strict.newContext()).newPage();
    await page.goto('/login?lang=en');
    await page.click('#ask-button');
    await page.waitForSelector('#ask-problem:not([hidden])');
    await page.fill('#username', 'admin');
    await page.fill('#password', 'wrong');
    await page.click('#ask-button');
    await eventually(async () => assert.equal(await page.textContent('#ask-problem'), 'Wrong user name or password.'));
    await page.fill('#password', 'a long enough password 4821');
    await page.click('#ask-button');
    await page.waitForSelector('#verify:not([hidden])');
    await page.fill('#code', await eventually(() => strict.server.code()));
    await page.waitForURL('**/admin');

    // Repeated guesses hit the rate limit, whose message says how long to wait.
    const other = await (await strict.newContext()).newPage();
    await other.goto('/login?lang=en');
    await other.fill('#username', 'admin');
    for (let i = 0; i < 8; i++) {
      await other.fill('#password', `guess ${i}`);
      await other.click('#ask-button:not([aria-disabled])');
      await other.waitForSelector('#ask-button:not([aria-disabled])');
    }
    await eventually(async () => assert.match(await other.textContent('#ask-problem'), /Too many tries\. Try again in \d+ minutes?\./));
  } finally {
    await strict.close();
  }
});

test('the list: newest first, search, nothing found', async () => {
  for (const name of ['Birinci Ziyaretçi', 'İkinci Ziyaretçi', 'Üçüncü Ziyaretçi']) {
    const page = await visit(await env.newContext(), name, { phone: '+90 532 000 11 22' });
    await say(page, `ben ${name}`);
    await eventually(async () => assert.match(await stateOf(page, `ben ${name}`), STORED));
  }
  const agent = await signIn(await env.newContext(), env.server);
  await eventually(async () => assert.deepEqual((await agent.locator('.row-name').allTextContents()).slice(0, 3), ['Üçüncü Ziyaretçi', 'İkinci Ziyaretçi', 'Birinci Ziyaretçi']));
  await agent.keyboard.press('/');
  await agent.keyboard.type('ikinci');
  await eventually(async () => assert.deepEqual(await agent.locator('.row-name').allTextContents(), ['İkinci Ziyaretçi']));
  await agent.fill('#search', 'ziyaretci ucun');
  await eventually(async () => assert.deepEqual(await agent.locator('.row-name').allTextContents(), ['Üçüncü Ziyaretçi']));
  await agent.fill('#search', 'kimse böyle değil');
  await eventually(async () => assert.match(await agent.textContent('#list-state'), /sonuç yok/));
  await agent.fill('#search', '');
  await eventually(async () => assert.ok((await agent.locator('.row').count()) >= 3));
  await openThread(agent, 'İkinci Ziyaretçi');
  assert.match(await agent.textContent('#facts'), /\+90 532 000 11 22/);
  assert.match(await agent.textContent('#facts'), /Türkçe/);
});

test('the row under a moving pointer stays where it is when messages arrive', async () => {
  const writers = [];
  for (const name of ['Sıra Bir', 'Sıra İki', 'Sıra Üç']) {
    writers.push([name, await visit(await env.newContext(), name)]);
    await say(writers.at(-1)[1], 'selam');
    await eventually(async () => assert.match(await stateOf(writers.at(-1)[1], 'selam'), STORED));
  }
  const agent = await signIn(await env.newContext(), env.server);
  const rows = () => agent.locator('.row').evaluateAll((all) => all.slice(0, 3).map((row) => [row.querySelector('.row-name').textContent, row.querySelector('.row-last').textContent]));
  await eventually(async () => assert.deepEqual((await rows()).map(([name]) => name), ['Sıra Üç', 'Sıra İki', 'Sıra Bir']));
  const { x, y, width, height } = await agent.locator('.row').nth(1).boundingBox();
  // On a busy machine a message may take longer than rows keep their positions, so there are several attempts; each time the last
  // of the three writes.
  let stood = 0;
  for (let n = 1; n <= 8 && !stood; n++) {
    const order = (await rows()).map(([name]) => name);
    const [name, page] = writers.find(([one]) => one === order[2]);
    await agent.mouse.move(x + width / 2, y + height / 2);
    await say(page, `mesaj ${n}`);
    await eventually(async () => {
      await agent.mouse.move(x + width / 2 + Math.random() * 9, y + height / 2);
      const now = await rows();
      assert.ok(now.some(([, text]) => text === `mesaj ${n}`), 'the message shows');
      if (now[2][0] === name) stood++;
    });
    await agent.mouse.move(0, 0);
    await eventually(async () => assert.deepEqual((await rows()).map(([one]) => one), [name, order[0], order[1]]), 'the order once the pointer is gone');
  }
  assert.ok(stood, 'the row never kept its position');
});

test('on a phone one pane at a time, with the phone\'s Back button', async () => {
  const visitor = await visit(await env.newContext(), 'Telefon Testi');
  await say(visitor, 'selam');
  const agent = await signIn(await env.newContext(PHONE), env.server);
  await agent.waitForSelector('.row');
  assert.ok(await agent.locator('#talk-pane').isHidden());
  await openThread(agent, 'Telefon Testi');
  assert.ok(await agent.locator('.list-pane').isHidden());
  await agent.goBack();
  await agent.waitForSelector('.list-pane', { state: 'visible' });
  assert.equal(new URL(agent.url()).pathname, '/admin');
  await openThread(agent, 'Telefon Testi');
  await agent.click('#back');
  await agent.waitForSelector('.list-pane', { state: 'visible' });
});

test('two consoles are synchronised, and drafts belong to their conversations', async () => {
  const first = await visit(await env.newContext(), 'Taslak Bir');
  await say(first, 'soru bir');
  const second = await visit(await env.newContext(), 'Taslak İki');
  await say(second, 'soru iki');
  const a = await signIn(await env.newContext(), env.server);
  const b = await signIn(await env.newContext(), env.server);
  await openThread(a, 'Taslak Bir');
  await openThread(b, 'Taslak Bir');
  await say(a, 'yanıt');
  await shows(b, ['soru bir', 'yanıt']);
  await shows(first, ['soru bir', 'yanıt']);
  await a.fill('#text', 'yarım kalan');
  await openThread(a, 'Taslak İki');
  await shows(a, ['soru iki']);
  assert.equal(await a.inputValue('#text'), '');
  await openThread(a, 'Taslak Bir');
  assert.equal(await a.inputValue('#text'), 'yarım kalan');
});

test('an expired session is shown, and the draft survives signing in again', async () => {
  const visitor = await visit(await env.newContext(), 'Oturum');
  await say(visitor, 'orada mısınız?');
  const context = await env.newContext();
  const agent = await signIn(context, env.server);
  await openThread(agent, 'Oturum');
  await agent.fill('#text', 'uzun bir yanıt');
  // The cookie is gone, as after twelve hours, and the page has to reconnect.
  await context.clearCookies({ name: /^(?!lang$|sohbet_csrf$)/ });
  await env.server.restart();
  await agent.waitForSelector('#expired:not([hidden])', { timeout: 15_000 });
  assert.equal(await agent.inputValue('#text'), 'uzun bir yanıt');
  // A message sent now waits.
  await say(agent, 'bekleyen');
  assert.notEqual(await stateOf(agent, 'bekleyen'), 'failed');
  await agent.fill('#text', 'uzun bir yanıt');
  await agent.click('#expired a');
  await agent.waitForURL('**/login');
  const before = env.server.log.length;
  await agent.click('#ask-button');
  await eventually(() => assert.match(env.server.log.slice(before), /SIGN-IN CODE/));
  await agent.fill('#code', env.server.code());
  await agent.waitForURL('**/admin');
  await agent.waitForSelector('#conversation:not([hidden])');
  await shows(agent, ['orada mısınız?', 'bekleyen']);
  assert.equal(await agent.inputValue('#text'), 'uzun bir yanıt');
  await connected(visitor);
  await shows(visitor, ['orada mısınız?', 'bekleyen'], 15_000);
});

test('deleting can be undone; it reaches other consoles after the undo period or when the page is left', async () => {
  const visitor = await visit(await env.newContext(), 'Silinecek');
  await say(visitor, 'silin beni');
  const a = await signIn(await env.newContext(), env.server);
  const b = await signIn(await env.newContext(), env.server);
  const row = (page) => page.locator('.row', { hasText: 'Silinecek' });
  await openThread(a, 'Silinecek');
  await act(a, 'clear');
  await row(a).waitFor({ state: 'detached' });
  assert.ok(await a.isVisible('#nobody'), 'the talk is gone');
  assert.equal(await a.textContent('.undo-bar p'), 'Silinecek ile konuşma silindi.');
  assert.ok(await row(b).isVisible(), 'nothing is sent yet');
  await a.click('.undo-bar button');
  await row(a).waitFor();
  assert.equal(await a.locator('.undo-bar').count(), 0);
  await openThread(a, 'Silinecek');
  await shows(a, ['silin beni']);
  // By keyboard: delete, undo, delete.
  await a.keyboard.press('Escape');
  await a.keyboard.press('Delete');
  await row(a).waitFor({ state: 'detached' });
  await a.keyboard.press('z');
  await shows(a, ['silin beni']);
  await a.keyboard.press('Escape');
  await a.keyboard.press('Delete');
  await row(a).waitFor({ state: 'detached' });
  // A new, unread message of the visitor cancels the deletion.
  await say(visitor, 'bir şey daha');
  await row(a).waitFor();
  assert.equal(await a.locator('.undo-bar').count(), 0);
  await openThread(a, 'Silinecek');
  await act(a, 'clear');
  await a.close();
  await row(b).waitFor({ state: 'detached' });
  await visitor.context().close();
});

test('a deletion that the server refuses restores the conversation and shows why', async () => {
  const visitor = await visit(await env.newContext(), 'Geri Gelen');
  await say(visitor, 'buradayım');
  const context = await env.newContext();
  const agent = await signIn(context, env.server);
  await openThread(agent, 'Geri Gelen');
  await context.route('**/api/threads/delete', (route) => route.abort());
  await removeThread(agent);
  await eventually(async () => assert.match(await agent.textContent('.undo-bar'), /Sunucuya ulaşılamıyor/));
  await agent.locator('.row', { hasText: 'Geri Gelen' }).waitFor();
  await agent.click('.undo-bar button');
  assert.equal(await agent.locator('.undo-bar').count(), 0);
});

test('missed events are made up for after resync: closed, deleted, edited', async () => {
  const a = await signIn(await env.newContext(), env.server);
  const context = await env.newContext();
  const events = await interceptEvents(context);
  const b = await signIn(context, env.server);
  const row = (page, name) => page.locator('.row', { hasText: name });
  for (const name of ['Kapanacak', 'Gidecek', 'Kalacak']) await say(await visit(await env.newContext(), name), 'merhaba');
  await openThread(a, 'Kalacak');
  await say(a, 'yarin');
  await openThread(b, 'Kalacak');
  await shows(b, ['merhaba', 'yarin']);
  events.drop = true;
  await a.locator('#text').press('ArrowUp');
  await a.locator('#text').fill('yarın');
  await a.locator('#text').press('Enter');
  await shows(a, ['merhaba', 'yarın']);
  await openThread(a, 'Kapanacak');
  await a.click('#finish');
  await row(a, 'Kapanacak').waitFor({ state: 'detached' });
  await openThread(a, 'Gidecek');
  await removeThread(a);
  await row(a, 'Gidecek').waitFor({ state: 'detached' });
  await b.waitForTimeout(500);
  for (const name of ['Kapanacak', 'Gidecek']) assert.ok(await row(b, name).isVisible(), name);
  await shows(b, ['merhaba', 'yarin']);
  events.drop = false;
  events.inject('resync', {});
  await shows(b, ['merhaba', 'yarın']);
  for (const name of ['Kapanacak', 'Gidecek']) await row(b, name).waitFor({ state: 'detached' });
});

test('a conversation emptied by another client stays in the list, opens, and gets new messages', async () => {
  const visitor = await visit(await env.newContext(), 'Boşalan');
  await say(visitor, 'ilk');
  const { thread } = await visitor.evaluate(() => JSON.parse(localStorage.getItem('sohbet.visitor')));
  const agent = await signIn(await env.newContext(), env.server);
  await openThread(agent, 'Boşalan');
  await shows(agent, ['ilk']);
  const clear = () => agent.evaluate((id) => fetch('/api/messages/clear', {
    method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ thread_id: id }),
  }).then((r) => r.status), thread);
  assert.equal(await clear(), 200);
  await shows(agent, []);
  await shows(visitor, []);
  const row = agent.locator('.row', { hasText: 'Boşalan' });
  assert.match(await row.innerText(), /Henüz mesaj yok/);
  await agent.reload();
  await row.click();
  await eventually(async () => assert.equal(await agent.textContent('#head-name'), 'Boşalan'));
  await shows(agent, []);
  await say(visitor, 'yeniden');
  await shows(agent, ['yeniden']);
});

test('a double click on Close closes once', async () => {
  const visitor = await visit(await env.newContext(), 'Çift Tık');
  await say(visitor, 'merhaba');
  const agent = await signIn(await env.newContext(), env.server);
  await openThread(agent, 'Çift Tık');
  // The second click comes as soon as the button has changed its meaning.
  await agent.evaluate(() => {
    const button = document.getElementById('finish');
    new MutationObserver((_, observer) => {
      if (button.dataset.now !== 'closed') return;
      observer.disconnect();
      button.click();
    }).observe(button, { attributeFilter: ['data-now'] });
    button.click();
  });
  await eventually(async () => assert.equal(await agent.getAttribute('#finish', 'data-now'), 'closed'));
  await agent.waitForTimeout(300); // enough time for a second action
  assert.equal(await agent.getAttribute('#finish', 'data-now'), 'closed');
  await agent.locator('#finish').click({ delay: 600 });
  await eventually(async () => assert.equal(await agent.getAttribute('#finish', 'data-now'), 'open'));
});

test('deleting all conversations requires confirmation, and empties every console', async () => {
  const a = await signIn(await env.newContext(), env.server);
  const b = await signIn(await env.newContext(), env.server);
  await a.click('#menu summary');
  assert.equal(await a.locator('.menu-sheet #clear-all').count(), 0, 'not in the menu');
  await a.click('#settings-open');
  await a.click('#clear-all');
  await a.keyboard.press('Escape');
  await a.waitForSelector('.row');
  await a.click('#menu summary');
  await a.click('#settings-open');
  await a.click('#clear-all');
  assert.ok(await a.locator('#confirm-yes').isDisabled(), 'the word has to be typed');
  await a.fill('#confirm-typed', 'si');
  await a.press('#confirm-typed', 'Enter');
  assert.ok(await a.locator('#confirm-yes').isDisabled());
  await a.waitForSelector('.row');
  await a.fill('#confirm-typed', ' sil ');
  await a.press('#confirm-typed', 'Enter');
  for (const page of [a, b]) await eventually(async () => assert.match(await page.textContent('#list-state'), /Henüz yazan olmadı/));
  assert.deepEqual(await texts(a), []);
});

test('agents see a warning that the disk is nearly full or full, in their language', async () => {
  for (const [lang, low, full] of [['tr', /dolmak üzere/, /Ziyaretçiler yazamıyor/], ['en', /nearly full/, /Visitors cannot write/]]) {
    const context = await env.newContext();
    const events = await interceptEvents(context);
    const page = await signIn(context, env.server, { lang });
    const line = page.locator('#storage');
    assert.ok(await line.isHidden());
    for (const [storage, words] of [['low', low], ['full', full]]) {
      await eventually(async () => { // the ack of admin_join, which may come later, says that the disk is ok
        events.inject('storage_status', { storage });
        assert.match(await line.innerText(), words);
      });
    }
    events.inject('storage_status', { storage: 'ok' });
    await line.waitFor({ state: 'hidden' });
  }
});
