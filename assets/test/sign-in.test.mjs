// Signing in and staying signed in: the list of one's sessions.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { cleanInBoth } from './axe.mjs';
import { DESK, PHONE, eventually, fits, signIn, startEnv } from './harness.mjs';

let env, owner;
before(async () => { env = await startEnv({ RATE_LIMIT_LOGIN: 'off' }); });
after(() => env.close());

const account = async (page) => {
  await page.goto('/admin/people?lang=en');
  await page.waitForSelector('.people[data-told]');
};
/** A picture for the eye, if SHOTS names a folder. */
const shot = (page, name) => process.env.SHOTS && page.screenshot({ path: `${process.env.SHOTS}/${name}.png`, fullPage: true });
const clean = async (page, what) => {
  for (const size of [PHONE, DESK]) {
    await page.setViewportSize(size.viewport);
    await cleanInBoth(page, `${what}, ${size.viewport.width} px`);
    assert.ok(await fits(page), 'no sideways scrolling');
    await shot(page, `${what} ${size.viewport.width}`);
  }
};

test('an agent sees where they are signed in, and ends one session or all others', async () => {
  owner = await signIn(await env.newContext(), env.server);
  const phone = await signIn(await env.newContext(PHONE), env.server);
  const tablet = await signIn(await env.newContext(), env.server);
  await account(owner);
  const rows = owner.locator('#sessions li');
  await eventually(async () => assert.equal(await rows.count(), 3));
  assert.match(await owner.textContent('#sessions [data-session=current]'), /Chrom.*Linux.*This browser.*127\.0\.0\.1.*signed in: Today/);
  await clean(owner, 'sessions');

  await owner.locator('#sessions [data-session=other] button').first().click();
  await eventually(async () => assert.equal(await rows.count(), 2));
  await Promise.any([phone, tablet].map((page) => page.waitForSelector('#expired:not([hidden])', { timeout: 60_000 })));
  await owner.click('#sessions-others');
  await eventually(async () => assert.equal(await rows.count(), 1));
  for (const page of [phone, tablet]) assert.equal((await page.request.get('/api/me')).status(), 401);
  assert.ok(await owner.isHidden('#sessions-others'));
  assert.equal((await owner.request.get('/api/me')).status(), 200);
});
