// Accessibility of every page and state in both themes, by axe, and the narrowest screen.
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { drop, postgres } from '../../handlers/test/postgres-schema.mjs';
import { cleanInBoth } from './axe.mjs';
import { act, DESK, eventually, fits, startEnv, openThread, PHONE, say, shows, signIn, STORED_MESSAGE, visit } from './harness.mjs';

let env;
before(async () => { env = await startEnv(); });
afterEach(() => env.closeContexts());
after(() => env.close());

for (const [device, size] of [['phone', PHONE], ['desk', DESK]]) {
  test(`axe finds nothing in light or dark, ${device}`, async () => {
    const name = `Erişim ${device}`;
    const guest = await (await env.newContext(size)).newPage();
    await guest.goto('/');
    await cleanInBoth(guest, 'name question');
    await guest.click('#start-form button[type=submit]');
    await guest.click('.extra summary');
    await cleanInBoth(guest, 'name problem, phone field');
    await guest.goto('/yok-boyle-bir-sayfa');
    await cleanInBoth(guest, 'not found');
    await guest.goto('/login');
    await cleanInBoth(guest, 'login');
    await guest.click('#ask-button');
    await guest.waitForSelector('#verify:not([hidden])');
    await cleanInBoth(guest, 'code');

    const visitor = await visit(await env.newContext(size), name);
    await cleanInBoth(visitor, 'empty conversation');
    await say(visitor, 'Merhaba https://example.com');
    const agent = await signIn(await env.newContext(size), env.server);
    await agent.waitForSelector('.row');
    await cleanInBoth(agent, 'console, list');
    await openThread(agent, name);
    await shows(agent, ['Merhaba https://example.com']);
    await say(agent, 'Buyurun https://example.com');
    await shows(visitor, ['Merhaba https://example.com', 'Buyurun https://example.com']);
    await visitor.locator('#text').pressSequentially('abc');
    await agent.waitForSelector('#typing:not([hidden])');
    await cleanInBoth(visitor, 'conversation');
    await cleanInBoth(agent, 'console, conversation');
    await act(agent, 'block');
    await cleanInBoth(agent, 'confirm');
    await agent.keyboard.press('Escape');

    await env.server.kill();
    try {
      await visitor.waitForSelector('#connection:not([hidden])');
      await say(visitor, 'sırada');
      await cleanInBoth(visitor, 'offline');
    } finally {
      await env.server.start(); // the next test needs the server even if this one failed
    }
  });
}

test('axe finds nothing in pictures, voices and files, light or dark', async () => {
  const page = await visit(await env.newContext(PHONE), 'Dosya');
  await page.click('#mic');
  await page.waitForSelector('#recorder:not([hidden])');
  await cleanInBoth(page, 'recording');
  await page.waitForTimeout(600); // shorter recordings are discarded
  await page.click('#recorder-done');
  await page.waitForSelector('.tray-audio');
  const picture = await page.evaluate(async () => {
    const canvas = Object.assign(document.createElement('canvas'), { width: 300, height: 200 });
    canvas.getContext('2d').fillRect(0, 0, 300, 200);
    return [...new Uint8Array(await (await new Promise((done) => canvas.toBlob(done, 'image/png'))).arrayBuffer())];
  });
  await page.setInputFiles('#pick', [
    { name: 'a.png', mimeType: 'image/png', buffer: Buffer.from(picture) },
    { name: 'b.txt', mimeType: 'text/plain', buffer: Buffer.from('merhaba') },
    { name: 'c.pdf', mimeType: 'application/pdf', buffer: Buffer.from('%PDF-1.4\n\0') },
  ]);
  await eventually(async () => assert.equal(await page.locator('.tray-item').count(), 4), 'four in the tray');
  await cleanInBoth(page, 'before sending');
  await page.click('#send');
  await page.waitForSelector('.message[data-state=failed]');
  await eventually(async () => assert.equal(await page.locator(STORED_MESSAGE).count(), 3), 'three sent');
  await cleanInBoth(page, 'sent, and one refused');
  await page.click('.picture');
  await cleanInBoth(page, 'enlarged');
});

test('the error page is shown on a failure, and passes axe', async () => {
  const settings = postgres();
  const broken = await startEnv(settings);
  try {
    const page = await signIn(await broken.newContext(), broken.server);
    drop(settings);
    assert.equal((await page.goto('/logout?lang=en')).status(), 500); // logging out writes to the database
    assert.equal(await page.textContent('h1'), 'We spilled something');
    for (const size of [PHONE, DESK]) {
      await page.setViewportSize(size.viewport);
      await cleanInBoth(page, 'failure');
      assert.ok(await fits(page));
    }
  } finally {
    await broken.close();
  }
});

test('320 px wide: nothing is cut off or scrolls sideways', async () => {
  const size = { viewport: { width: 320, height: 568 }, hasTouch: true, isMobile: true };
  const visitor = await visit(await env.newContext(size), 'Dar Ekran Kullanan Uzun İsimli Ziyaretçi');
  await say(visitor, 'Afyonkarahisarlılaştıramadıklarımızdan mısınız acaba diye soracaktım');
  const agent = await signIn(await env.newContext(size), env.server);
  await openThread(agent, 'Dar Ekran');
  for (const page of [visitor, agent]) {
    assert.ok(await fits(page));
    await page.fill('#text', 'x');
    const send = await page.locator('#send').boundingBox();
    assert.ok(send.x + send.width <= 320 && send.y + send.height <= 568, 'send is on the screen');
    await page.fill('#text', '');
    const mic = await page.locator('#mic').boundingBox();
    assert.ok(mic.x + mic.width <= 320 && mic.y + mic.height <= 568, 'the microphone is on the screen');
  }
});

test('everything by keyboard: name, message, list, conversation, back to the list', async () => {
  const page = await (await env.newContext()).newPage();
  await page.goto('/');
  await eventually(async () => assert.equal(await page.evaluate(() => document.activeElement.id), 'name'));
  await page.keyboard.type('Klavye');
  await page.keyboard.press('Enter');
  await eventually(async () => assert.equal(await page.evaluate(() => document.activeElement.id), 'text'));
  await page.keyboard.type('bir');
  await page.keyboard.press('Shift+Enter');
  await page.keyboard.type('iki');
  await page.keyboard.press('Enter');
  await shows(page, ['bir\niki']);
  const agent = await signIn(await env.newContext(), env.server);
  await agent.locator('#threads').focus();
  await agent.keyboard.press('Home');
  await agent.keyboard.press('Enter');
  await eventually(async () => assert.equal(await agent.evaluate(() => document.activeElement.id), 'text'));
  await agent.keyboard.press('Escape');
  await eventually(async () => assert.match(await agent.evaluate(() => document.activeElement.textContent), /Klavye/));
});
