// What agents do inside a conversation: notes, canned replies, editing, closing; and that several consoles are synchronised.
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { io } from 'socket.io-client';
import { act, eventually, startEnv, openThread, say, shows, signIn, stateOf, visit } from './harness.mjs';

const SECRET = 'what the shop and its chat know, 4821';

let env;
let a;
let b;
before(async () => {
  env = await startEnv({ IDENTITY_SECRET: SECRET });
  a = await signIn(await env.newContext(), env.server);
  b = await signIn(await env.newContext(), env.server);
});
after(() => env.close());

/**
 * Creates a visitor who has written `text`, with the conversation open in both consoles. `received` collects all frames that the
 * visitor's page receives.
 */
async function talk(name, text = 'merhaba', received = null) {
  const context = await env.newContext();
  if (received) context.on('page', (page) => page.on('websocket', (socket) => socket.on('framereceived', ({ payload }) => received.push(String(payload)))));
  const visitor = await visit(context, name);
  await say(visitor, text);
  for (const page of [a, b]) {
    await openThread(page, name);
    await shows(page, [text]);
  }
  return visitor;
}

const note = (page, text) => page.locator('.message.note', { hasText: text });

test('a note reaches only the team, and the composer shows where its text goes', async () => {
  const received = [];
  const visitor = await talk('Notlu', 'merhaba', received);
  const frames = (text) => received.filter((frame) => frame.includes(text)).length;
  await a.fill('#text', 'yarım yanıt');
  await eventually(() => assert.ok(frames('"typing"'), 'a reply sends typing'));
  await a.click('#mode-note');
  assert.equal(await a.inputValue('#text'), '', 'the answer is no note');
  assert.equal(await a.getAttribute('#text', 'placeholder'), 'Ekibe not: ziyaretçi görmez');
  assert.equal(await a.getAttribute('#composer', 'data-mode'), 'note');
  const colour = () => a.evaluate(() => getComputedStyle(document.getElementById('composer')).backgroundColor);
  const saffron = await eventually(async () => { const c = await colour(); assert.notEqual(c, 'rgb(255, 255, 255)'); return c; });
  assert.ok(await a.isHidden('#attach'), 'a note carries no file');
  await eventually(() => assert.ok(frames('"typing":false'), 'and typing ends'));
  const typed = frames('"typing":true');
  await say(a, 'kargo şubesiyle konuştum');
  for (const page of [a, b]) await note(page, 'kargo şubesiyle konuştum').waitFor();
  await say(a, 'yarın arayacağım');
  assert.equal(frames('"typing":true'), typed, 'a note sends no typing');
  await a.click('#mode-reply');
  await eventually(async () => assert.notEqual(await colour(), saffron));
  assert.equal(await a.inputValue('#text'), 'yarım yanıt', 'each has a draft of its own');
  await say(a, 'yarın elinizde');
  await shows(visitor, ['merhaba', 'yarın elinizde']);
  assert.equal(frames('yarın elinizde') > 0, true);
  assert.equal(frames('kargo şubesiyle') + frames('arayacağım') + frames('note'), 0, 'no frame carries a note');

  // The note is shown at its place in the conversation, also after a reload.
  await b.reload();
  await openThread(b, 'Notlu');
  await shows(b, ['merhaba', 'kargo şubesiyle konuştum', 'yarın arayacağım', 'yarın elinizde']);
  await note(b, 'yarın arayacağım').locator('.tools button').click();
  for (const page of [a, b]) await note(page, 'yarın arayacağım').waitFor({ state: 'detached' });
  await visitor.reload();
  await shows(visitor, ['merhaba', 'yarın elinizde']);
  await visitor.context().close();
});

test('a note that cannot be saved stays in the composer', async () => {
  const visitor = await talk('Kopuk');
  await a.click('#mode-note');
  await env.server.kill();
  try {
    await a.waitForSelector('#connection:not([hidden])');
    await say(a, 'kaybolmasın');
    await a.waitForSelector('#composer-problem:not([hidden])');
    assert.match(await a.textContent('#composer-problem'), /Metniniz burada duruyor/);
    assert.equal(await a.inputValue('#text'), 'kaybolmasın');
  } finally {
    await env.server.start();
  }
  await a.waitForSelector('#connection', { state: 'hidden' });
  await a.press('#text', 'Enter');
  for (const page of [a, b]) await note(page, 'kaybolmasın').waitFor(); // other consoles may get the note before the sender gets the ack
  assert.equal(await note(a, 'kaybolmasın').count(), 1);
  assert.ok(await a.isHidden('#composer-problem'));
  await a.click('#mode-reply');
  await visitor.context().close();
});

test('canned replies: created in the dialog, found by "/", inserted with the name, and synchronised between consoles', async () => {
  const visitor = await talk('Ayşe Hanım');
  await a.click('#menu summary');
  await a.click('#canned-open');
  for (const [shortcut, text] of [['kargo', 'Merhaba {name}, paketiniz yolda.'], ['iade', 'İade için faturanızı gönderin, {name}.'], ['saat', 'Hafta içi 9-18 arası buradayız.']]) {
    await a.fill('#canned-shortcut', `/${shortcut}`);
    await a.fill('#canned-text', text);
    await a.click('#canned-save');
    await a.locator('#canned-all li', { hasText: `/${shortcut}` }).waitFor();
  }
  // The same shortcut in another case is refused.
  await a.fill('#canned-shortcut', 'KARGO');
  await a.fill('#canned-text', 'başka');
  await a.click('#canned-save');
  await eventually(async () => assert.match(await a.textContent('#canned-problem'), /\/KARGO zaten var/));
  await a.fill('#canned-shortcut', 'iki kelime');
  await a.click('#canned-save');
  assert.match(await a.textContent('#canned-problem'), /1–32 harf/);
  // Editing one.
  await a.locator('.canned-row', { hasText: '/saat' }).click();
  await a.fill('#canned-text', 'Her gün 9-18 arası buradayız.');
  await a.click('#canned-save');
  await a.locator('#canned-all li', { hasText: 'Her gün' }).waitFor();
  // Text that was not saved survives Escape.
  await a.fill('#canned-text', 'yarım kalan');
  await a.keyboard.press('Escape');
  await a.click('#menu summary');
  await a.click('#canned-open');
  assert.equal(await a.inputValue('#canned-text'), 'yarım kalan');
  await a.fill('#canned-text', '');
  await a.keyboard.press('Escape');

  // The other console gets them without a reload.
  await b.fill('#text', '');
  await b.locator('#text').pressSequentially('Selam! /');
  const offered = () => b.locator('#canned-list li b').allTextContents();
  await eventually(async () => assert.deepEqual(await offered(), ['/iade', '/kargo', '/saat']));
  await b.locator('#text').pressSequentially('yol'); // matches the reply's text
  await eventually(async () => assert.deepEqual(await offered(), ['/kargo']));
  await b.keyboard.press('Backspace');
  await b.keyboard.press('Backspace');
  await b.keyboard.press('Backspace');
  await b.keyboard.press('ArrowDown');
  assert.match(await b.textContent('#canned-list [aria-selected=true]'), /kargo/);
  assert.equal(await b.getAttribute('#text', 'aria-activedescendant'), await b.getAttribute('#canned-list [aria-selected=true]', 'id'));
  await b.keyboard.press('Enter');
  assert.equal(await b.inputValue('#text'), 'Selam! Merhaba Ayşe Hanım, paketiniz yolda.');
  assert.ok(await b.isHidden('#canned'));
  await b.keyboard.press('Enter');
  await shows(visitor, ['merhaba', 'Selam! Merhaba Ayşe Hanım, paketiniz yolda.']);
  // A slash inside a word opens nothing, and Escape keeps the text.
  await b.locator('#text').pressSequentially('9/10');
  assert.ok(await b.isHidden('#canned'));
  await b.fill('#text', '');
  await b.locator('#text').pressSequentially('/k');
  await b.waitForSelector('#canned:not([hidden])');
  await b.keyboard.press('Escape');
  assert.ok(await b.isHidden('#canned'));
  assert.equal(await b.inputValue('#text'), '/k');
  await b.fill('#text', '');
  // Deleted in one console, removed in the other.
  await a.click('#menu summary');
  await a.click('#canned-open');
  await a.locator('#canned-all li', { hasText: '/iade' }).locator('.touch').click();
  await a.locator('#canned-all li', { hasText: '/iade' }).waitFor({ state: 'detached' });
  await a.keyboard.press('Escape');
  await eventually(async () => {
    await b.fill('#text', '');
    await b.locator('#text').pressSequentially('/');
    assert.deepEqual(await offered(), ['/kargo', '/saat']);
  });
  await b.keyboard.press('Escape');
  await b.fill('#text', '');
  await visitor.context().close();
});

test('canned replies: responses out of order, and text typed during a request', async () => {
  let release;
  const held = new Promise((resolve) => { release = resolve; });
  let asked = 0;
  let answered; // resolves when the first, outdated response has arrived last
  const last = new Promise((resolve) => { answered = resolve; });
  await a.route('**/api/canned', async (route) => {
    if (route.request().method() !== 'GET' || ++asked > 1) return route.fallback();
    const response = await route.fetch();
    await held;
    await route.fulfill({ response });
    return answered();
  });
  await a.click('#menu summary');
  await a.click('#canned-open');
  await a.fill('#canned-shortcut', 'geç');
  await a.fill('#canned-text', 'Hemen bakıyoruz.');
  await a.click('#canned-save');
  await a.locator('#canned-all li', { hasText: '/geç' }).waitFor();
  release();
  await last;
  await a.evaluate(() => fetch('/api/canned').then((response) => response.json())); // by now the page has handled the response
  assert.equal(await a.locator('#canned-all li', { hasText: '/geç' }).count(), 1);
  await a.unroute('**/api/canned');

  await a.route('**/api/canned', async (route) => {
    if (route.request().method() === 'POST') await a.fill('#canned-shortcut', 'sonraki');
    return route.fallback();
  });
  await a.fill('#canned-shortcut', 'ilk');
  await a.fill('#canned-text', 'Birinci.');
  await a.click('#canned-save');
  await a.locator('#canned-all li', { hasText: '/ilk' }).waitFor();
  await a.waitForSelector('#canned-save:not([disabled])');
  assert.equal(await a.inputValue('#canned-shortcut'), 'sonraki');
  await a.unroute('**/api/canned');
  await a.keyboard.press('Escape');
});

test('editing a message: by its button, by the Up key, and cancelled', async () => {
  const visitor = await talk('Düzeltme');
  await say(a, 'yarin gelir');
  await shows(visitor, ['merhaba', 'yarin gelir']);
  await a.fill('#text', 'taslak');
  await a.locator('.message.own', { hasText: 'yarin gelir' }).locator('.tools button').click();
  assert.equal(await a.inputValue('#text'), 'yarin gelir');
  assert.ok(await a.isVisible('#edit-bar'));
  await a.fill('#text', 'yarın gelir');
  await a.keyboard.press('Enter');
  for (const page of [a, b, visitor]) await shows(page, ['merhaba', 'yarın gelir']);
  await eventually(async () => assert.equal(await a.inputValue('#text'), 'taslak', 'the draft is back'));
  await a.fill('#text', '');
  await a.keyboard.press('ArrowUp');
  assert.equal(await a.inputValue('#text'), 'yarın gelir');
  await a.keyboard.press('Escape');
  assert.ok(await a.isHidden('#edit-bar'));
  assert.equal(await a.inputValue('#text'), '');
  assert.equal(await a.evaluate(() => document.activeElement.id), 'text');
  assert.equal(await visitor.locator('.edited').count(), 1);
  await visitor.context().close();
});

test('closing and reopening moves a conversation between the lists of both consoles, and a new message reopens it', async () => {
  const visitor = await talk('Biten İş');
  const row = (page) => page.locator('.row', { hasText: 'Biten İş' });
  await a.click('[data-filter=waiting]');
  await row(a).waitFor();
  await a.click('#finish');
  await row(a).waitFor({ state: 'detached' });
  await row(b).waitFor({ state: 'detached' });
  assert.equal(await a.textContent('#head-name'), 'Biten İş', 'it stays open to read');
  assert.ok(await b.isVisible('#closed-bar'));
  await b.click('[data-filter=closed]');
  await row(b).waitFor();
  await eventually(async () => assert.match(await b.textContent('[data-filter=closed]'), /1/));
  await b.click('#reopen');
  await row(b).waitFor({ state: 'detached' });
  await b.click('#finish');
  await row(b).waitFor();
  await say(visitor, 'bir şey daha');
  await row(b).waitFor({ state: 'detached' });
  await row(a).waitFor();
  assert.ok(await a.isHidden('#closed-bar'));
  for (const page of [a, b]) await page.click('[data-filter=active]');
  await visitor.context().close();
});

test('a message is delivered while the visitor’s tab is hidden, and read when it is visible', async () => {
  const visitor = await talk('Başka Sekme');
  // Simulates that the page's tab is hidden or visible.
  const look = (away) => visitor.evaluate((hidden) => {
    Object.defineProperty(document, 'hidden', { value: hidden, configurable: true });
    document.dispatchEvent(new Event('visibilitychange'));
  }, away);
  await look(true);
  await say(a, 'burada mısınız?');
  await eventually(async () => assert.equal(await stateOf(a, 'burada mısınız?'), 'delivered'));
  await look(false);
  await eventually(async () => assert.equal(await stateOf(a, 'burada mısınız?'), 'read'));
  await visitor.context().close();
});

test('read marks, typing and blocking are shown in both consoles', async () => {
  const visitor = await talk('İki Konsol');
  const row = (page) => page.locator('.row', { hasText: 'İki Konsol' });
  await openThread(b, 'Biten İş');
  await openThread(a, 'Biten İş');
  await say(visitor, 'okunmadı');
  for (const page of [a, b]) await eventually(async () => assert.equal(await row(page).locator('.badge').textContent(), '1'));
  await visitor.locator('#text').pressSequentially('abc');
  await eventually(async () => assert.equal(await row(a).locator('.row-last').textContent(), 'yazıyor…'));
  await visitor.fill('#text', '');
  await eventually(async () => assert.equal(await row(a).locator('.row-last').textContent(), 'okunmadı'));
  await row(b).click();
  await row(a).locator('.badge').waitFor({ state: 'hidden' });
  await act(b, 'block');
  await b.click('#confirm-yes');
  await a.locator('.row.is-blocked', { hasText: 'İki Konsol' }).waitFor();
  await b.click('#unblock');
  await b.click('#confirm-yes');
  await a.locator('.row.is-blocked').waitFor({ state: 'detached' });
  await visitor.context().close();
});

test('times are updated as time passes, and a long wait gets a line of its own', async () => {
  const visitor = await visit(await env.newContext(), 'Sabırlı');
  const page = await (await a.context()).newPage();
  await page.clock.install();
  await page.goto('/admin');
  await say(visitor, 'kimse yok mu?');
  const row = page.locator('.row', { hasText: 'Sabırlı' });
  await row.waitFor();
  await eventually(async () => assert.equal(await row.locator('.row-time').textContent(), 'şimdi'));
  assert.ok(await row.locator('.row-wait').isHidden());
  const low = (await row.boundingBox()).height;
  await page.clock.fastForward('06:10');
  await eventually(async () => assert.equal(await row.locator('.row-time').textContent(), '6 dk'));
  assert.match(await row.locator('.row-wait').textContent(), /6 dk bekliyor/);
  assert.ok((await row.boundingBox()).height > low);
  await page.close();
  await visitor.context().close();
});

test('switching the team to away on one console shows on the other', async () => {
  await a.click('#team');
  for (const page of [a, b]) await eventually(async () => assert.equal(await page.getAttribute('#team', 'aria-checked'), 'false'));
  await b.reload();
  await eventually(async () => assert.equal(await b.textContent('#team-text'), 'Uzaktayız'));
  await b.click('#team');
  for (const page of [a, b]) await eventually(async () => assert.equal(await page.getAttribute('#team', 'aria-checked'), 'true'));
});

/** A visitor by socket alone: `ask(event, payload)` resolves with the ack. */
async function guest(join, agent = 'Mozilla/5.0 (Android 14; Mobile; rv:140.0) Gecko/140.0 Firefox/140.0') {
  const socket = io(env.server.url, { path: '/socket.io/', transports: ['websocket'], extraHeaders: { 'User-Agent': agent } });
  const ask = async (event, payload) => {
    const answer = await socket.timeout(5_000).emitWithAck(event, payload);
    assert.ok(answer.ok, JSON.stringify(answer));
    return answer;
  };
  const { thread_id: thread } = await ask('join', join);
  return { thread, ask: (event, payload = {}) => ask(event, { thread_id: thread, ...payload }), close: () => socket.close() };
}

test('the visitor pane: page, browser, contact, rating, and earlier conversations, updated live', async () => {
  const phone_number = '+90 532 444 55 66';
  const before = await guest({ display_name: 'Selin Işık', phone_number });
  await before.ask('message', { text: 'geçen haftaki soru' });
  const now = await guest({ display_name: 'Selin Işık', phone_number, locale: 'en', page_url: 'https://shop.example/sepet' });
  await now.ask('message', { text: 'bugünkü soru' });
  await a.locator('.row', { hasText: 'bugünkü soru' }).click();
  const fact = (text) => eventually(async () => assert.match(await a.textContent('#facts'), text));
  for (const text of [/shop\.example\/sepet/, /Firefox 140 · Android/, /İngilizce/, /\+90 532 444 55 66/]) await fact(text);
  await now.ask('page', { page_url: 'https://shop.example/odeme', page_title: 'Ödeme' });
  await now.ask('contact', { email: 'selin@example.com' });
  await now.ask('message', { text: 'bir soru daha' }); // follows the system message that confirms the address
  await now.ask('rate', { score: 4, comment: 'hızlıydı' });
  for (const text of [/Ödeme/, /selin@example\.com/, /hızlıydı/]) await fact(text);
  assert.equal(await a.getAttribute('#facts .stars', 'aria-label'), '5 üzerinden 4');
  assert.equal(await a.locator('#facts .stars .full').count(), 4);
  assert.equal(await a.getAttribute('#facts a[href^=mailto]', 'href'), 'mailto:selin@example.com');
  assert.deepEqual(await a.locator('.earlier-last').allTextContents(), ['geçen haftaki soru']);
  await a.click('.earlier-row');
  await shows(a, ['geçen haftaki soru']);
  await eventually(async () => assert.deepEqual(await a.locator('.earlier-last').allTextContents(), ['bir soru daha']));
  // A visitor whose identity the site has proved.
  assert.equal(await a.locator('#facts .verified').count(), 0);
  const identity = { id: 'musteri-7', hash: createHmac('sha256', SECRET).update('musteri-7').digest('hex') };
  const known = await guest({ display_name: 'Bilinen Müşteri', identity });
  await known.ask('message', { text: 'ben yine' });
  await a.locator('.row', { hasText: 'ben yine' }).click();
  for (const text of [/Kimliği doğrulandı/, /musteri-7/]) await fact(text);
  for (const one of [before, now, known]) one.close();
});

test('export as text or JSON, with notes only if requested', async () => {
  const visitor = await talk('Kopya İsteyen');
  await a.click('#mode-note');
  await say(a, 'aramızda kalsın');
  await note(a, 'aramızda kalsın').waitFor();
  await a.click('#mode-reply');
  const copy = async (choose) => {
    await act(a, 'export');
    await choose();
    const [download] = await Promise.all([a.waitForEvent('download'), a.click('#export-save')]);
    await a.waitForSelector('#export-dialog', { state: 'hidden' });
    assert.match(download.suggestedFilename(), /^Kopya İsteyen \d{4}-\d\d-\d\d\.(txt|json)$/);
    return readFile(await download.path(), 'utf8');
  };
  const text = await copy(async () => {});
  assert.match(text, /Kopya İsteyen/);
  assert.match(text, /merhaba/);
  assert.doesNotMatch(text, /aramızda kalsın/);
  const json = JSON.parse(await copy(async () => {
    await a.check('#export-dialog [value=json]');
    await a.check('#export-dialog [name=notes]');
  }));
  assert.equal(json.messages[0].content_text, 'merhaba');
  assert.equal(json.notes[0].text, 'aramızda kalsın');
  // A failed export is shown in the dialog.
  await a.route('**/api/threads/export', (route) => route.fulfill({ status: 500, body: '{}' }));
  await act(a, 'export');
  await a.click('#export-save');
  await eventually(async () => assert.match(await a.textContent('#export-problem'), /hazırlanamadı/));
  await a.click('#export-cancel');
  await a.unroute('**/api/threads/export');
  await visitor.context().close();
});

test('a console that shows hostile messages stays responsive', async () => {
  const visitor = await guest({ display_name: 'Donduran' });
  const hostile = [
    `${'👍'.repeat(30)}a`, `https://a${'!'.repeat(2_000)}x${')'.repeat(2_000)}`, `https://${String.fromCodePoint(...Array.from({ length: 9_000 }, (_, i) => 0x4e00 + i))}`,
    ...['w', ')', '!', 'a.', 'a@', '+9', 'x.co ', 'https://x.co ', 'a@b.co ', ' ', '\n'].map((unit) => `.${unit.repeat(9_998 / unit.length)}x`),
  ];
  for (const text of hostile) await visitor.ask('message', { text });
  const agent = await signIn(await env.newContext(), env.server); // a separate browser context, because the other consoles must survive if this one hangs
  await openThread(agent, 'Donduran');
  await eventually(async () => assert.equal(await agent.locator('.message').count(), hostile.length), 'all of them', 30_000);
  await agent.click('#mode-note', { timeout: 10_000 });
  assert.equal(await agent.getAttribute('#composer', 'data-mode'), 'note');
  assert.ok(await agent.locator('.message a').count() > 200, 'links are still made');
  await visitor.ask('message', { text: 'sonra' }); // and a message that arrives while it is open
  await agent.locator('.message', { hasText: 'sonra' }).waitFor();
  visitor.close();
  await agent.context().close();
});
