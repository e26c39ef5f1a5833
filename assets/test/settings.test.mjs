// The settings that owners change in the console: in effect at once, wrong values said at their fields, what the server sets is locked.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { cleanInBoth } from './axe.mjs';
import { DESK, PHONE, eventually, fits, signIn, startEnv } from './harness.mjs';

let env, owner;
before(async () => { env = await startEnv({ AGENT_NAME: 'Ayşe', RATE_LIMIT_MESSAGE: '', RATE_LIMIT_UPLOAD: '' }); });
after(() => env.close());

const problem = (page, id) => page.textContent(`#setting-${id}-problem`);

test('an owner changes what visitors see, and pages show it at once', async () => {
  owner = await signIn(await env.newContext(), env.server);
  await owner.click('#menu summary');
  await owner.click('a[href="/admin/settings"]');
  await owner.waitForSelector('.people[data-told]');
  assert.ok(await owner.isDisabled('#setting-agent-name'));
  assert.match(await owner.textContent('#setting-agent-name-hint'), /AGENT_NAME sunucuda/);
  await owner.fill('#setting-brand-name', 'Çay Evi');
  await owner.fill('#setting-brand-color', '#8a1538');
  assert.equal(await owner.inputValue('input[type=color]'), '#8a1538');
  await owner.fill('#setting-brand-greeting', 'Buyurun, dinliyoruz');
  await owner.click('#form-shop .button:not(.plain)');
  await eventually(async () => assert.match(await owner.textContent('#form-shop [role=status]'), /Kaydedildi/));
  const visitor = await (await env.newContext()).newPage();
  await visitor.goto('/');
  assert.match(await visitor.textContent('.brand'), /Çay Evi/);
  assert.match(await visitor.textContent('.greeting'), /Buyurun, dinliyoruz/);
  await owner.reload();
  await owner.waitForSelector('.people[data-told]');
  assert.equal(await owner.inputValue('#setting-brand-name'), 'Çay Evi');
  for (const size of [PHONE, DESK]) {
    await owner.setViewportSize(size.viewport);
    await cleanInBoth(owner, `settings, ${size.viewport.width} px`);
    assert.ok(await fits(owner), 'no sideways scrolling');
    if (process.env.SHOTS) await owner.screenshot({ path: `${process.env.SHOTS}/settings-${size.viewport.width}.png`, fullPage: true });
  }
});

test('wrong values are said at their fields, and nothing is lost or stored', async () => {
  await owner.fill('#setting-rate-limit-message', 'often');
  await owner.fill('#setting-rate-limit-upload', '20/5m');
  await owner.click('#form-limits .button');
  await eventually(async () => assert.match(await problem(owner, 'rate-limit-message'), /30\/1m/));
  assert.equal(await owner.evaluate(() => document.activeElement.id), 'setting-rate-limit-message');
  assert.ok(await owner.isHidden('#setting-rate-limit-upload-problem'));
  assert.equal(await owner.inputValue('#setting-rate-limit-upload'), '20/5m');
  await cleanInBoth(owner, 'settings with an error');
  await owner.fill('#setting-rate-limit-message', '60/1m');
  await owner.click('#form-limits .button');
  await eventually(async () => assert.match(await owner.textContent('#form-limits [role=status]'), /Kaydedildi/));
  assert.ok(await owner.isHidden('#setting-rate-limit-message-problem'));
  await owner.click('#form-limits .button');
  await eventually(async () => assert.match(await owner.textContent('#form-limits [role=status]'), /Değişen bir şey yok/));
});

test('a secret is made, not shown again, and replaced; sites are one in each line', async () => {
  await owner.click('#form-sites .button.plain');
  const secret = await owner.inputValue('#setting-identity-secret');
  assert.match(secret, /^[0-9a-f]{64}$/);
  await owner.fill('#setting-cors-origins', 'https://shop.example\nhttps://blog.example/');
  await owner.click('#form-sites .actions .button');
  await eventually(async () => assert.match(await owner.textContent('#form-sites [role=status]'), /Kaydedildi/));
  await owner.reload();
  await owner.waitForSelector('.people[data-told]');
  assert.equal(await owner.inputValue('#setting-identity-secret'), '');
  assert.ok(!(await owner.content()).includes(secret));
  assert.match(await owner.textContent('#setting-identity-secret-hint'), /Bir değer var/);
  assert.deepEqual((await owner.inputValue('#setting-cors-origins')).split('\n'), ['https://shop.example', 'https://blog.example/']);
  assert.ok(!env.server.log.includes(secret));
});

test('without a network nothing is lost, and agents who are no owners are told', async () => {
  await owner.context().setOffline(true);
  await owner.fill('#setting-brand-name', 'Başka');
  await owner.click('#form-shop .button:not(.plain)');
  await eventually(async () => assert.match(await owner.textContent('#form-shop > .problem'), /Olmadı/));
  assert.equal(await owner.inputValue('#setting-brand-name'), 'Başka');
  await owner.context().setOffline(false);
  await owner.dblclick('#form-shop .button:not(.plain)');
  await eventually(async () => assert.match(await owner.textContent('#form-shop [role=status]'), /Kaydedildi|Değişen bir şey yok/));
});
