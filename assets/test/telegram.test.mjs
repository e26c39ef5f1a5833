// A visitor's page and the console in Chromium, the operator in Telegram.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { telegram } from './fakebot.mjs';
import { eventually, house, openThread, PHONE, say, shows, visit } from './harness.mjs';

let bot;
let h;
before(async () => {
  bot = await telegram();
  h = await house(bot.env);
});
after(async () => {
  await h?.close();
  await bot?.close();
});

/** Signs in with the code that the operator reads in Telegram. */
async function signIn(context) {
  const page = await context.newPage();
  await page.goto('/login?lang=tr');
  await page.click('#ask-button');
  await page.waitForSelector('#verify:not([hidden])');
  const { text } = await bot.sent(/Giriş kodu/);
  await page.fill('#code', text.match(/\d{6}/)[0]);
  await page.waitForURL('**/admin');
  await page.waitForSelector('#connection', { state: 'hidden' });
  return page;
}

/** How long it took until the page showed this text, in milliseconds. */
async function appears(page, text, began) {
  await page.locator('.message .bubble', { hasText: text }).first().waitFor();
  return Date.now() - began;
}

test('the operator answers in the topic and the visitor sees it under a second', async () => {
  const context = await h.person(PHONE);
  const page = await visit(context, 'Ayşe');
  await say(page, 'Merhaba, 2 < 3 & siparişim nerede?');
  const asked = await bot.sent(/siparişim nerede/);
  assert.match(asked.text, /^💬 Ayşe\nMerhaba, 2 < 3 & siparişim nerede\?\n#thread:/);
  assert.ok(asked.is_topic_message);

  const took = [];
  for (let i = 0; i < 5; i++) {
    const began = Date.now();
    await bot.say({ topic: asked.message_thread_id, text: `Bakıyorum ${i}` });
    took.push(await appears(page, `Bakıyorum ${i}`, began));
  }
  console.log(`from Telegram to the page: ${took.join(', ')} ms`);
  assert.ok(Math.max(...took) < 1000, `took ${took}`);

  // The console shows both sides, and what is answered there stands in Telegram too.
  const desk = await h.person();
  const agent = await signIn(desk);
  await openThread(agent, 'Ayşe');
  const both = ['Merhaba, 2 < 3 & siparişim nerede?', ...took.map((_, i) => `Bakıyorum ${i}`)];
  await shows(agent, both);
  await say(agent, 'Panelden cevap');
  await shows(page, [...both, 'Panelden cevap']);
  const mirrored = await bot.sent(/Panelden cevap/);
  assert.equal(mirrored.message_thread_id, asked.message_thread_id);
  await bot.say({ topic: asked.message_thread_id, text: 'Telefondan cevap' });
  await shows(agent, [...both, 'Panelden cevap', 'Telefondan cevap']);
  await shows(page, [...both, 'Panelden cevap', 'Telefondan cevap']);
  await context.close();
  await desk.close();
});

test('an answer given while the visitor was away is there when they come back', async () => {
  const context = await h.person();
  const page = await visit(context, 'Mehmet');
  await say(page, 'Birazdan dönerim');
  const { message_thread_id: topic } = await bot.sent(/Birazdan dönerim/);
  await page.goto('about:blank');
  await bot.say({ topic, text: 'Sizi bekliyoruz' });
  await page.goto('/?lang=tr');
  await shows(page, ['Birazdan dönerim', 'Sizi bekliyoruz']);
  await context.close();
});

test('Telegram being away is no business of the visitor', async () => {
  const context = await h.person();
  const page = await visit(context, 'Zeynep');
  await bot.down(true);
  await say(page, 'Orada mısınız?');
  await eventually(async () => assert.equal(await page.locator('.message').last().getAttribute('data-state'), 'sent'), 'one tick');
  await bot.down(false);
  const { message_thread_id: topic } = await bot.sent(/Orada mısınız/);
  await bot.say({ topic, text: 'Buradayız' });
  await shows(page, ['Orada mısınız?', 'Buradayız']);
  await context.close();
});
