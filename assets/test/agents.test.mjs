// The team: inviting, joining, who answered, roles, one's own account, and being disabled while writing.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { cleanInBoth } from './axe.mjs';
import { DESK, PHONE, eventually, fits, openThread, say, shows, signIn, startEnv, stateOf, STORED, visit } from './harness.mjs';

const PASSWORD = 'a long enough password';
let env, owner, ada;
before(async () => { env = await startEnv(); });
after(() => env.close());

const people = async (page) => {
  await page.goto('/admin/people');
  await page.waitForSelector('.people[data-told]');
};
const rename = async (page, name) => {
  const token = await page.evaluate(() => document.querySelector('meta[name=csrf-token]').content);
  const answer = await page.request.post(`${env.server.url}/api/me`, { data: { name }, headers: { 'X-CSRF-Token': token } });
  assert.equal(answer.status(), 200);
};
const rowOf = (page, name) => page.locator('.agent', { hasText: name });

test('an owner invites, and the guest joins by the link, once', async () => {
  owner = await signIn(await env.newContext({ permissions: ['clipboard-read', 'clipboard-write'] }), env.server);
  await owner.click('#menu summary');
  await owner.click('a[href="/admin/people"]');
  await owner.waitForSelector('.people[data-told]');
  assert.match(await rowOf(owner, 'admin').textContent(), /siz/);
  await owner.fill('#invite-email', 'ada');
  await owner.click('#invite-make');
  await eventually(async () => assert.match(await owner.textContent('#invite-problem'), /e-posta adresi değil/));
  await owner.fill('#invite-email', 'Ada@shop.example');
  await owner.click('#invite-make');
  await owner.waitForSelector('#invite-made:not([hidden])');
  await owner.click('#invite-copy');
  await eventually(async () => assert.match(await owner.textContent('#invite-copied'), /Kopyalandı/));
  const link = await owner.inputValue('#invite-link');
  assert.equal(await owner.evaluate(() => navigator.clipboard.readText()), link);
  assert.ok(link.startsWith(`${env.server.url}/invite/`));
  for (const size of [PHONE, DESK]) {
    await owner.setViewportSize(size.viewport);
    await cleanInBoth(owner, `people, ${size.viewport.width} px`);
    assert.ok(await fits(owner), 'no sideways scrolling');
  }

  const guest = await (await env.newContext()).newPage();
  await guest.goto(`${link}?lang=en`);
  assert.equal(await guest.inputValue('#email'), 'Ada@shop.example');
  for (const size of [PHONE, DESK]) {
    await guest.setViewportSize(size.viewport);
    await cleanInBoth(guest, `invitation, ${size.viewport.width} px`);
    assert.ok(await fits(guest), 'no sideways scrolling');
  }
  await guest.fill('#name', 'admin');
  await guest.fill('#password', 'short');
  await guest.click('#join-button');
  await eventually(async () => assert.match(await guest.textContent('#join-problem'), /at least 12/));
  await guest.fill('#password', PASSWORD);
  await guest.click('#join-button');
  await eventually(async () => assert.match(await guest.textContent('#join-problem'), /has this name already/));
  assert.equal(await guest.evaluate(() => document.activeElement.id), 'name');
  await guest.fill('#name', 'Ada Lovelace');
  await guest.click('#join-button');
  await guest.waitForURL('**/admin');
  await guest.waitForSelector('#connection', { state: 'hidden' });
  ada = guest;

  const late = await (await env.newContext()).newPage();
  await late.goto(link);
  assert.match(await late.textContent('h1'), /artık geçerli değil/);
  assert.equal(await late.locator('form').count(), 0);
  assert.ok(!env.server.log.includes(link.split('/').at(-1)), 'the token is not logged');
});

test('consoles show who answered and who wrote a note, and visitors no e-mail address', async () => {
  const visitor = await visit(await env.newContext(), 'Ziyaretçi');
  await say(visitor, 'merhaba');
  await owner.goto('/admin');
  for (const page of [owner, ada]) await openThread(page, 'Ziyaretçi');
  await say(ada, 'I am here');
  await shows(owner, ['merhaba', 'I am here']); // otherwise the console asks before it sends
  await say(owner, 'ben de');
  for (const page of [visitor, owner, ada]) await shows(page, ['merhaba', 'I am here', 'ben de']);
  await eventually(async () => assert.match(await stateOf(ada, 'I am here'), STORED));
  const writer = (page, text) => page.locator('.message', { hasText: text }).locator('.writer').allTextContents();
  await eventually(async () => assert.deepEqual(await writer(owner, 'I am here'), ['Ada Lovelace']));
  assert.deepEqual(await writer(owner, 'ben de'), [], 'one’s own name is not shown');
  assert.deepEqual(await writer(ada, 'ben de'), ['admin']);
  assert.deepEqual(await writer(visitor, 'I am here'), ['Ada Lovelace']);
  assert.deepEqual(await writer(visitor, 'ben de'), [], 'an owner without a name is the team');
  assert.deepEqual(await visitor.locator('.joined').allTextContents(), ['Ada Lovelace görüşmeye katıldı']);
  assert.equal(await visitor.textContent('.who bdi'), 'Ada Lovelace');
  // Messages of two agents are two groups.
  assert.equal(await owner.locator('.message.own.last').count(), 2);
  await ada.click('#mode-note');
  await say(ada, 'careful with this one');
  await eventually(async () => assert.match(await owner.textContent('.note .by'), /Ada Lovelace/));
  assert.ok(!(await visitor.content()).includes('shop.example'));
});

test('visitors see the pictures and names of those who answer', async () => {
  const visitor = await visit(await env.newContext(), 'Resimli');
  await say(visitor, 'kim var orada?');
  const page = await ada.context().newPage();
  await people(page);
  assert.equal(await page.textContent('#picture-face'), 'AL');
  const file = (name, buffer, mimeType = 'image/png') => page.setInputFiles('#picture-file', { name, mimeType, buffer });
  await file('a.png', Buffer.from('no picture'));
  await eventually(async () => assert.match(await page.textContent('#picture-problem'), /cannot be used/));
  const [green, red] = await page.evaluate(() => Promise.all(['#0a0', '#a00'].map(async (color) => {
    const canvas = Object.assign(document.createElement('canvas'), { width: 900, height: 600 });
    const draw = canvas.getContext('2d');
    draw.fillStyle = color;
    draw.fillRect(0, 0, 900, 600);
    return canvas.toDataURL().split(',')[1];
  })));
  const shown = (on, selector) => eventually(async () => assert.ok(await on.locator(`${selector} img.photo`).evaluateAll((list) => list.length > 0 && list.every((i) => i.complete && i.naturalWidth === 192))));
  await file('green.png', Buffer.from(green, 'base64'));
  await shown(page, '#picture-face');
  await shown(page, `.agent:has-text("Ada")`);
  const first = await page.locator('#picture-face img').getAttribute('src');
  await file('red.png', Buffer.from(red, 'base64'));
  await eventually(async () => assert.notEqual(await page.locator('#picture-face img').getAttribute('src'), first));
  await shown(page, '#picture-face');
  for (const size of [PHONE, DESK]) {
    await page.setViewportSize(size.viewport);
    await cleanInBoth(page, `own picture, ${size.viewport.width} px`);
  }

  await openThread(ada, 'Resimli');
  await say(ada, 'I am, Ada');
  await shows(visitor, ['kim var orada?', 'I am, Ada']);
  await shown(visitor, '#team-face');
  await shown(visitor, '.message.last:not(.own) .author');
  await shown(owner, '.row-agent');
  await rename(owner, 'Berna');
  await openThread(owner, 'Resimli');
  await shows(owner, ['kim var orada?', 'I am, Ada']);
  await say(owner, 'ben de buradayım');
  await visitor.reload();
  await shows(visitor, ['kim var orada?', 'I am, Ada', 'ben de buradayım']);
  await eventually(async () => assert.deepEqual(await visitor.locator('.joined').allTextContents(), ['Ada Lovelace görüşmeye katıldı', 'Artık Berna yanıtlıyor']));
  await shows(ada, ['kim var orada?', 'I am, Ada', 'ben de buradayım']);
  await say(ada, 'and me again');
  await shows(visitor, ['kim var orada?', 'I am, Ada', 'ben de buradayım', 'and me again']);
  assert.equal(await visitor.locator('.joined').count(), 2, 'only before the first message of each');
  await eventually(async () => assert.equal(await visitor.textContent('.who bdi'), 'Ada Lovelace'));
  assert.equal(await visitor.locator('#team-face > *').count(), 2);
  for (const size of [PHONE, DESK]) {
    await visitor.setViewportSize(size.viewport);
    await cleanInBoth(visitor, `two agents, ${size.viewport.width} px`);
    if (process.env.SHOTS) await visitor.screenshot({ path: `${process.env.SHOTS}/two-agents-${size.viewport.width}.png` });
    if (process.env.SHOTS) await page.screenshot({ path: `${process.env.SHOTS}/own-picture-${size.viewport.width}.png`, fullPage: true });
  }

  await page.click('#picture-remove');
  await eventually(async () => assert.equal(await page.textContent('#picture-face'), 'AL'));
  await visitor.reload();
  await shows(visitor, ['kim var orada?', 'I am, Ada', 'ben de buradayım', 'and me again']);
  await eventually(async () => assert.equal(await visitor.locator('.message:not(.own) img.photo').count(), 0));
  assert.ok(await page.locator('#picture-remove').isHidden());
  await rename(owner, 'admin');
  await openThread(ada, 'Ziyaretçi');
});

test('agents see the team, but may not change it', async () => {
  const page = await ada.context().newPage();
  await people(page);
  assert.equal(await page.locator('.agent').count(), 2);
  assert.equal(await page.locator('.agent select, .agent button').count(), 0);
  assert.ok(await page.locator('#invite').isHidden());
  await page.goto('/admin/diagnostics');
  await page.waitForSelector('.gauges[data-told]');
  await eventually(async () => assert.ok(await page.locator('#repairs').isHidden()));
  await page.close();
  await ada.click('#menu summary');
  await ada.click('#settings-open');
  assert.ok(await ada.locator('#clear-all').isHidden());
  await ada.keyboard.press('Escape');
});

test('an agent changes the own account, and stays signed in with a new password', async () => {
  const page = await ada.context().newPage();
  await people(page);
  await page.fill('#account-name', 'Ada');
  await page.fill('#account-password', 'another long password');
  await page.fill('#account-current', 'wrong');
  await page.click('#account-save');
  await eventually(async () => assert.match(await page.textContent('#account-problem'), /current password is wrong/));
  await page.fill('#account-current', PASSWORD);
  await page.click('#account-save');
  await eventually(async () => assert.match(await page.textContent('#account-said'), /Saved/));
  await eventually(async () => assert.equal(await rowOf(page, 'Ada').locator('b').textContent(), 'Ada'));
  await eventually(async () => assert.equal(await ada.evaluate(() => document.querySelector('#connection').hidden && document.querySelector('#expired').hidden), true));
  const fresh = await (await env.newContext()).newPage();
  await fresh.goto('/login');
  await fresh.fill('#username', 'ada@shop.example');
  await fresh.fill('#password', PASSWORD);
  await fresh.click('#ask-button');
  await fresh.waitForSelector('#ask-problem:not([hidden])');
  await fresh.fill('#password', 'another long password');
  await fresh.click('#ask-button');
  await fresh.waitForURL('**/admin');
  await fresh.close();
  await page.close();
});

test('the owner, who has no password, still signs in with a code alone', async () => {
  const page = await (await env.newContext()).newPage();
  await page.goto('/login');
  const before = env.server.log.length;
  await page.click('#code-instead');
  await page.waitForSelector('#verify:not([hidden])');
  await eventually(() => assert.match(env.server.log.slice(before), /SIGN-IN CODE/));
  await page.fill('#code', env.server.code());
  await page.waitForURL('**/admin');
  await page.close();
});

test('an agent who is disabled while writing is told so, and loses nothing', async () => {
  await ada.click('#mode-reply');
  await say(ada, 'still here');
  await eventually(async () => assert.match(await stateOf(ada, 'still here'), STORED)); // connected again, after the new password
  await ada.locator('#text').pressSequentially('half a sent');
  const page = await owner.context().newPage();
  await people(page);
  await rowOf(page, 'admin').locator('select').selectOption('agent');
  await eventually(async () => assert.match(await page.textContent('#people-problem'), /Bir sahip kalmalı/));
  assert.equal(await rowOf(page, 'admin').locator('select').inputValue(), 'owner');
  await rowOf(page, 'Ada').getByRole('button', { name: 'Girişi' }).click();
  await ada.waitForSelector('#expired:not([hidden])');
  await eventually(async () => assert.match(await ada.textContent('#expired'), /disabled your account/)); // a refused request may end the session first
  assert.equal(await ada.inputValue('#text'), 'half a sent');
  await eventually(async () => assert.match(await rowOf(page, 'Ada').textContent(), /giriş yapamaz/));

  await rowOf(page, 'Ada').getByRole('button', { name: 'Girişi' }).click();
  await eventually(async () => assert.doesNotMatch(await rowOf(page, 'Ada').textContent(), /giriş yapamaz/));
  await ada.click('#expired a');
  await ada.fill('#username', 'Ada');
  await ada.fill('#password', 'another long password');
  await ada.click('#ask-button');
  await ada.waitForURL('**/admin');
  await openThread(ada, 'Ziyaretçi');
  assert.equal(await ada.inputValue('#text'), 'half a sent');
  await page.close();
});
