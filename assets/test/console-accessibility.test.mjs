// Accessibility of every state of the console by axe, in both themes on desktop and phone; and at 200% zoom.
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { cleanInBoth } from './axe.mjs';
import { act, DESK, eventually, startEnv, openThread, PHONE, say, seed, shows, signIn, visit } from './harness.mjs';

let env;
let seeded = false;
before(async () => { env = await startEnv(); });
afterEach(() => env.closeContexts());
after(() => env.close());

/** Fails if the page overflows sideways. */
const fits = async (page, what) => assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= document.documentElement.clientWidth), what);

for (const [size, device] of [[DESK, 'desk'], [PHONE, 'phone']]) {
  test(`no state breaks a rule in light or dark, ${device}`, async () => {
    const context = await env.newContext(size);
    const page = await signIn(context, env.server);
    const state = async (what) => {
      await cleanInBoth(page, what);
      await fits(page, what);
    };
    const back = async () => { if (device === 'phone') await page.click('#back'); };
    await page.waitForSelector('#list-state:not(:empty), .row');
    await state('first list');
    await page.fill('#search', 'yok böyle biri');
    await eventually(async () => assert.match(await page.textContent('#list-state'), /sonuç yok/));
    await state('no results');
    await page.fill('#search', '');
    if (!seeded) seed(env.server, '-threads', '120'); // includes long waits and closed conversations
    seeded = true;
    const name = `Durum ${device}`;
    const visitor = await visit(await env.newContext(), name);
    await say(visitor, 'Merhaba https://example.com');
    await page.locator('.row.waits').first().waitFor();
    await state('long waits, unread, online');
    await page.click('#menu summary');
    await state('menu');
    await page.click('#keys-open');
    await state('the keys');
    await page.keyboard.press('Escape');
    await page.click('#menu summary');
    await page.click('#canned-open');
    await page.fill('#canned-shortcut', 'iki kelime');
    await page.click('#canned-save');
    await state('ready replies, with a problem');
    await page.fill('#canned-shortcut', `kargo-${device}`);
    await page.fill('#canned-text', 'Merhaba {name}, yolda.');
    await page.click('#canned-save');
    await page.locator('#canned-all li', { hasText: `kargo-${device}` }).click();
    await state('ready replies, one being changed');
    await page.keyboard.press('Escape');
    await page.click('#team');
    await eventually(async () => assert.equal(await page.getAttribute('#team', 'aria-checked'), 'false'));
    await state('away');
    await page.click('#team');

    await openThread(page, name);
    await shows(page, ['Merhaba https://example.com']);
    await say(page, 'Buyurun');
    await page.click('#mode-note');
    await say(page, 'not https://example.com');
    await page.locator('.message.note').waitFor();
    await page.hover('.message.note');
    await state('a note, and the box for notes');
    await page.click('#mode-reply');
    await page.locator('#text').pressSequentially('/');
    await page.waitForSelector('#canned:not([hidden])');
    await state('ready replies offered');
    await page.fill('#text', '');
    await page.locator('#text').press('ArrowUp');
    await state('correcting');
    await page.keyboard.press('Escape');
    await page.click('#talk-menu summary');
    await state('menu of the conversation');
    await page.click('#export');
    await state('saving a copy');
    await page.keyboard.press('Escape');
    await act(page, 'block');
    await state('asking to block');
    await page.click('#confirm-yes');
    await page.waitForSelector('#blocked-bar:not([hidden])');
    await state('blocked');
    await page.click('#unblock');
    await page.click('#confirm-yes');
    await page.waitForSelector('#blocked-bar', { state: 'hidden' });
    await page.click('#finish');
    await page.waitForSelector('#closed-bar:not([hidden])');
    await state('closed');
    await page.click('#reopen');
    await page.waitForSelector('#closed-bar', { state: 'hidden' });
    if (device === 'phone') {
      await page.click('#facts-open');
      await state('the visitor, in front');
      await page.click('#facts-close');
    }
    await act(page, 'clear');
    await page.waitForSelector('.undo-bar');
    await state('deleted, and a way back');
    await page.click('.undo-bar button');
    await page.click('[data-filter=closed]');
    await page.locator('.row.is-closed').first().waitFor();
    await state('closed ones');
    await page.click('[data-filter=active]');

    await openThread(page, name);
    await env.server.kill();
    try {
      await page.waitForSelector('#connection:not([hidden])');
      await say(page, 'sırada');
      await state('offline, one waits');
      await page.evaluate(() => document.dispatchEvent(new Event('visibilitychange')));
    } finally {
      await env.server.start();
    }
    await page.waitForSelector('#connection', { state: 'hidden' });
    await back();
    await context.clearCookies({ name: /^(?!lang$|sohbet_csrf$)/ });
    await page.fill('#search', 'bir şey');
    await page.waitForSelector('#expired:not([hidden])');
    await state('session ended');
    await context.close();
    await visitor.context().close();
  });
}

test('at 200% zoom all controls are visible, and nothing overflows sideways', async () => {
  // A window of 1280 by 900 at 200% zoom has this size in CSS pixels.
  const page = await signIn(await env.newContext({ viewport: { width: 640, height: 450 } }), env.server);
  await page.waitForSelector('.row');
  await fits(page, 'list');
  await page.locator('.row').first().click();
  await page.waitForSelector('#conversation:not([hidden])');
  await page.fill('#text', 'yazıyorum');
  await fits(page, 'conversation');
  const send = await page.locator('#send').boundingBox();
  assert.ok(send.x + send.width <= 640 && send.y + send.height <= 450, 'send is on the screen');
  const scroller = await page.locator('#scroller').boundingBox();
  assert.ok(scroller.height >= 96, `${scroller.height} px are left for the messages`);
  for (const id of ['finish', 'facts-open', 'back', 'mode-note']) assert.ok(await page.isVisible(`#${id}`), id);
  await page.fill('#text', '');
  await page.locator('#scroller').focus();
  await page.keyboard.press('?');
  const close = page.locator('#keys-dialog .actions button');
  await close.scrollIntoViewIfNeeded();
  await close.click();
  await fits(page, 'after the sheet');
  await page.context().close();
});
