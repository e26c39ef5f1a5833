// What the operator does in Telegram besides writing: edits, commands for closing and being away.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { telegram } from './fake-telegram.mjs';
import { eventually, startEnv, openThread, say, shows, visit } from './harness.mjs';

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

const state = (page, id, want) => eventually(async () => assert.equal(await page.textContent(id), want));

test('edits, closing and being away are shown on both pages', async () => {
  const guest = await visit(await env.newContext(), 'Ayşe', { lang: 'en' });
  await say(guest, 'when do you close?');
  const { message_thread_id: topic } = await bot.sent(/when do you close/);
  const desk = await (await env.newContext()).newPage();
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
