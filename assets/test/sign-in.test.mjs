// Signing in and staying signed in: the list of one's sessions, links for a new password, passkeys, and a provider that is down.
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

test('an owner makes a link with which an agent sets a new password', async () => {
  await account(owner);
  await owner.click('#invite-make');
  await owner.waitForSelector('#invite-made:not([hidden])');
  const invited = await owner.inputValue('#invite-link');
  const guest = await (await env.newContext()).newPage();
  await guest.goto(`${invited}?lang=en`);
  await guest.fill('#name', 'Ada');
  await guest.fill('#password', 'a long enough password');
  await guest.click('#join-button');
  await guest.waitForURL('**/admin');

  await account(owner);
  await owner.locator('.agent', { hasText: 'Ada' }).getByRole('button', { name: /new password/ }).click();
  await owner.waitForSelector('#invite-made:not([hidden])');
  assert.match(await owner.textContent('#invite-until'), /^Link with which Ada sets a new password, once, until/);
  const link = await owner.inputValue('#invite-link');
  await clean(owner, 'link for a new password');
  const page = await (await env.newContext()).newPage();
  await page.goto('/login?lang=en');
  assert.match(await page.textContent('#ask'), /Ask an owner/);
  await page.goto(`${link}?lang=en`);
  assert.equal(await page.inputValue('#name'), 'Ada');
  await clean(page, 'new password');
  await page.fill('#password', 'short');
  await page.click('#set-button');
  await eventually(async () => assert.match(await page.textContent('#set-problem'), /at least 12/));
  await page.fill('#password', 'another long enough password');
  await page.click('#set-button');
  await page.waitForURL('**/admin');
  await guest.waitForSelector('#expired:not([hidden])', { timeout: 60_000 });
  await page.goto(link);
  assert.match(await page.textContent('h1'), /not valid any more/);
  assert.ok(!env.server.log.includes(link.split('/').at(-1)), 'the token is not logged');
});

/** Opens a page with a virtual authenticator, at a host name, which passkeys need. */
async function withAuthenticator() {
  const page = await (await env.newContext({ baseURL: `http://localhost:${env.server.port}` })).newPage();
  const devtools = await page.context().newCDPSession(page);
  await devtools.send('WebAuthn.enable');
  await devtools.send('WebAuthn.addVirtualAuthenticator', {
    options: { protocol: 'ctap2', transport: 'internal', hasResidentKey: true, hasUserVerification: true, isUserVerified: true, automaticPresenceSimulation: true },
  });
  return page;
}

test('an agent joins with a passkey, signs in with it, adds another and removes one', async () => {
  env.hosts.push(`http://localhost:${env.server.port}`);
  await account(owner);
  await owner.click('#invite-make');
  await owner.waitForSelector('#invite-made:not([hidden])');
  const link = new URL(await owner.inputValue('#invite-link')).pathname;

  const page = await withAuthenticator();
  await page.goto(`${link}?lang=en`);
  await page.click('#join-passkey');
  await eventually(async () => assert.match(await page.textContent('#join-problem'), /your name/));
  await page.fill('#name', 'Bob');
  await page.click('#join-passkey');
  await page.waitForURL('**/admin');
  await page.goto('/logout');
  await page.goto('/login?lang=en');
  await clean(page, 'sign-in with a passkey');
  await page.click('#passkey-button');
  await page.waitForURL('**/admin');

  await account(page);
  const rows = page.locator('#passkeys li');
  await eventually(async () => assert.equal(await rows.count(), 1));
  assert.match(await rows.first().textContent(), /Chrom.*Last used: Today/);
  await page.locator('#passkeys button').click();
  await eventually(async () => assert.match(await page.textContent('#passkeys-problem'), /password first/));
  await page.click('#passkey-button'); // the authenticator has one already
  await eventually(async () => assert.match(await page.textContent('#passkeys-problem'), /No passkey was added/));
  await clean(page, 'passkeys');

  const code = await withAuthenticator();
  await code.context().addCookies(await page.context().cookies());
  await account(code);
  await code.fill('#passkey-name', 'Key ring');
  await code.click('#passkey-button');
  await eventually(async () => assert.equal(await code.locator('#passkeys li').count(), 2));
  await code.locator('#passkeys li', { hasText: 'Key ring' }).getByRole('button').click();
  await eventually(async () => assert.equal(await code.locator('#passkeys li').count(), 1));
});

test('a provider that cannot be reached is named, and other ways to sign in work', async () => {
  const other = await startEnv({ OIDC_ISSUER: 'http://127.0.0.1:1', OIDC_CLIENT_ID: 'chat', OIDC_NAME: 'Shop ID', PUBLIC_URL: 'http://localhost' });
  try {
    const page = await (await other.newContext()).newPage();
    await page.goto('/login?lang=en');
    await page.click('text=Sign in with Shop ID');
    await page.waitForURL('**/login?problem=oidc_unreachable');
    await eventually(async () => assert.match(await page.textContent('.steps > .problem'), /ulaşılamıyor|cannot be reached/));
    await clean(page, 'provider that is down');
    await signIn(page.context(), other.server);
  } finally {
    await other.close();
  }
});
