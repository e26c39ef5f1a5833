// What the operator does in Telegram besides writing: edits, commands for closing and being away.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { cleanInBoth } from './axe.mjs';
import { telegram } from './fake-telegram.mjs';
import { DESK, PHONE, eventually, fits, startEnv, openThread, say, shows, visit } from './harness.mjs';

let bot;
let env;
before(async () => {
  bot = await telegram();
  env = await startEnv(bot.settings);
});
after(async () => {
  await env?.close();
  await bot?.close();
});

let desk; // signed in by the first test

const state = (page, id, want) => eventually(async () => assert.equal(await page.textContent(id), want));

test('edits, closing and being away are shown on both pages', async () => {
  const guest = await visit(await env.newContext(), 'Ayşe', { lang: 'en' });
  await say(guest, 'when do you close?');
  const { message_thread_id: topic } = await bot.sent(/when do you close/);
  desk = await (await env.newContext()).newPage();
  await desk.goto('/login?lang=en');
  await desk.click('#ask-button');
  const { text } = await bot.sent(/Giriş kodu/);
  await desk.fill('#code', text.match(/\d{6}/)[0]);
  await desk.waitForURL('**/admin');
  await openThread(desk, 'Ayşe');

  const { message_id: answer } = await bot.say({ topic, text: 'at siix' });
  await shows(guest, ['when do you close?', 'at siix']);
  await shows(desk, ['when do you close?', 'at siix']);
  await bot.edit(answer, 'at six');
  for (const page of [guest, desk]) {
    await shows(page, ['when do you close?', 'at six']);
    await eventually(async () => assert.match(await page.locator('.message', { hasText: 'at six' }).textContent(), /edited/));
  }
  await guest.reload();
  await eventually(async () => assert.match(await guest.locator('.message', { hasText: 'at six' }).textContent(), /edited/));

  await bot.say({ text: '/offline' });
  await state(guest, '#state', 'We are away and answer later');
  await guest.reload();
  await state(guest, '#state', 'We are away and answer later');
  await bot.say({ text: '/online' });
  await state(guest, '#state', 'You are connected');

  await bot.say({ topic, text: '/close' });
  await state(desk, '#head-state', 'Closed');
  await say(guest, 'one thing more');
  await eventually(async () => assert.notEqual(await desk.textContent('#head-state'), 'Closed'));
});

test('answers of a linked account carry the name of its agent', async () => {
  await desk.goto('/admin/people?lang=en');
  await desk.waitForSelector('.people[data-told]');
  await desk.fill('#account-name', 'Ada Lovelace');
  await desk.click('#account-save');
  await eventually(async () => assert.equal(await desk.textContent('#account-said'), 'Saved'));
  const guest = await visit(await env.newContext(), 'Elif', { lang: 'en' });
  await say(guest, 'is it in stock?');
  const { message_thread_id: topic } = await bot.sent(/is it in stock/);
  await desk.click('#telegram-button');
  await desk.waitForSelector('#telegram-made:not([hidden])');
  const command = await desk.inputValue('#telegram-command');
  assert.match(command, /^\/link [A-Z2-7]{10}$/);
  for (const size of [PHONE, DESK]) {
    await desk.setViewportSize(size.viewport);
    await cleanInBoth(desk, `linking Telegram, ${size.viewport.width} px`);
    assert.ok(await fits(desk), 'no sideways scrolling');
  }
  await bot.say({ text: command });
  await bot.sent(/Ada Lovelace/);
  await eventually(async () => assert.match(await desk.textContent('#telegram-about'), /is linked/));
  assert.ok(!await desk.isVisible('#telegram-made'));

  await bot.say({ topic, text: 'yes, five left' });
  await shows(guest, ['is it in stock?', 'yes, five left']);
  const writer = (text) => guest.locator('.message', { hasText: text }).locator('.writer').allTextContents();
  await eventually(async () => assert.deepEqual(await writer('five left'), ['Ada Lovelace']));
  await bot.say({ topic, text: '/mine' });
  const { reply_markup: mine } = await bot.sent(/Açık konuşmalar \(1\)/);
  assert.match(mine.inline_keyboard[0][0].text, /Elif/);

  await desk.reload(); // a link is stored
  await desk.waitForSelector('.people[data-told]');
  await desk.click('#telegram-button');
  await eventually(async () => assert.match(await desk.textContent('#telegram-about'), /Link your Telegram account/));
  await say(guest, 'thank you');
  await bot.say({ topic, text: 'welcome' });
  await shows(guest, ['is it in stock?', 'yes, five left', 'thank you', 'welcome']);
  assert.deepEqual(await writer('welcome'), []);
  assert.ok(!env.server.log.includes(command.split(' ')[1]), 'the code is not logged');
});
