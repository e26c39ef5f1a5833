// Signing in with a code of an authenticator app: setting it up, entering codes, and removing it.
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { after, before, test } from 'node:test';
import { cleanInBoth } from './axe.mjs';
import { DESK, PHONE, eventually, fits, signIn, startEnv } from './harness.mjs';

const PASSWORD = 'a long enough password';
let env, owner, secret, recovery;
before(async () => { env = await startEnv({ RATE_LIMIT_LOGIN: 'off' }); });
after(() => env.close());

/** The code of a secret (RFC 6238), `steps` of 30 s from now. */
function code(steps = 0) {
  const bits = [...secret.replace(/\s/g, '')].map((c) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(c).toString(2).padStart(5, '0')).join('');
  const key = Buffer.from(bits.match(/.{8}/g).map((byte) => parseInt(byte, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000) + steps));
  const sum = createHmac('sha1', key).update(counter).digest();
  return String((sum.readUInt32BE(sum.at(-1) & 15) & 0x7fffffff) % 1_000_000).padStart(6, '0');
}

const login = async () => {
  const page = await (await env.newContext(PHONE)).newPage();
  await page.goto('/login?lang=en');
  await page.fill('#username', 'admin');
  await page.fill('#password', PASSWORD);
  await page.click('#ask-button');
  await page.waitForSelector('#verify-app:visible');
  return page;
};

test('an agent with a password sets an app up', async () => {
  owner = await signIn(await env.newContext(DESK), env.server);
  await owner.goto('/admin/people?lang=en');
  await owner.waitForSelector('.people[data-told]');
  assert.match(await owner.textContent('#second-about'), /password first/);
  assert.ok(await owner.isHidden('#second-button'));
  assert.equal((await owner.request.post('/api/me', { data: { password: PASSWORD } })).status(), 200);
  await owner.reload();
  await owner.click('#second-button');
  await owner.waitForSelector('#second-setup:visible');
  secret = await owner.textContent('#second-secret');
  assert.match(secret, /^([A-Z2-7]{4} )+[A-Z2-7]{1,4}$/);
  assert.ok(await owner.evaluate(() => document.getElementById('second-qr').naturalWidth > 100));
  for (const size of [PHONE, DESK]) {
    await owner.setViewportSize(size.viewport);
    await cleanInBoth(owner, `setting an app up, ${size.viewport.width} px`);
    assert.ok(await fits(owner), 'no sideways scrolling');
    if (process.env.SHOTS) await owner.screenshot({ path: `${process.env.SHOTS}/setup-${size.viewport.width}.png`, fullPage: true });
  }
  await owner.fill('#second-code', '000000');
  await owner.click('#setup-button');
  await eventually(async () => assert.match(await owner.textContent('#setup-problem'), /present code/));
  await owner.fill('#second-code', code(-1));
  await owner.click('#setup-button');
  await owner.waitForSelector('#recovery:visible');
  recovery = await owner.locator('#recovery-codes li').allTextContents();
  assert.equal(new Set(recovery).size, 10);
  assert.match(await owner.textContent('#second-about'), /^On\./);
  if (process.env.SHOTS) await owner.screenshot({ path: `${process.env.SHOTS}/recovery.png`, fullPage: true });
});

test('signing in asks for a code of the app, and takes a recovery code instead', async () => {
  const page = await login();
  assert.ok(await page.isHidden('#verify-sent'));
  await cleanInBoth(page, 'code of an app');
  if (process.env.SHOTS) await page.screenshot({ path: `${process.env.SHOTS}/login-app.png` });
  await page.fill('#code', code(5));
  await eventually(async () => assert.match(await page.textContent('#verify-problem'), /\S/));
  await page.fill('#code', code());
  await page.waitForURL('**/admin');

  const other = await login();
  await other.fill('#code', recovery[0]);
  await other.click('#verify-button');
  await other.waitForURL('**/admin');
});

test('removing the app takes the password', async () => {
  await owner.click('#second-button');
  await eventually(async () => assert.match(await owner.textContent('#second-problem'), /password/));
  await owner.fill('#second-password', 'wrong');
  await owner.click('#second-button');
  await eventually(async () => assert.match(await owner.textContent('#second-problem'), /is wrong/));
  await owner.fill('#second-password', PASSWORD);
  await owner.click('#second-button');
  await eventually(async () => assert.match(await owner.textContent('#second-about'), /^Off\./));
});
