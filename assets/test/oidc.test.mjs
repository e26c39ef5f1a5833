// Signing in at an OpenID Connect provider: a real one, the example server of zitadel/oidc.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { freePort, started } from '../../handlers/test/processes.mjs';
import { eventually, signIn, startEnv } from './harness.mjs';

let env, provider;
const scratch = mkdtempSync(path.join(tmpdir(), 'sohbet-provider-'));

before(async () => {
  const [port, providerPort] = [await freePort(), await freePort()];
  const [site, issuer] = [`http://localhost:${port}`, `http://localhost:${providerPort}`];
  const program = path.join(scratch, 'provider');
  execFileSync('go', ['build', '-C', path.join(import.meta.dirname, 'provider'), '-o', program, '.'], { stdio: 'inherit' });
  provider = started(program, ['-port', String(providerPort), '-redirect', `${site}/login/oidc/callback`], { stdio: 'ignore' });
  await eventually(async () => assert.equal((await fetch(`${issuer}/.well-known/openid-configuration`)).status, 200), 'provider');
  env = await startEnv({ PORT: String(port), PUBLIC_URL: site, OIDC_ISSUER: issuer, OIDC_CLIENT_ID: 'chat', OIDC_CLIENT_SECRET: 'a secret of the client', OIDC_NAME: 'Shop ID' });
  env.hosts.push(site, issuer);
});
after(async () => {
  provider?.kill();
  rmSync(scratch, { recursive: true, force: true });
  await env?.close();
});

/** Goes to the provider and signs in there; returns the page that comes back. */
async function come(user) {
  const page = await (await env.newContext({ baseURL: `http://localhost:${env.server.port}` })).newPage();
  await page.goto('/login?lang=en');
  await page.click('text=Sign in with Shop ID');
  await page.fill('#username', user);
  await page.fill('#password', 'secret');
  await page.click('button[type=submit]');
  return page;
}

test('agents sign in at a provider, by an address that it has verified', async () => {
  const owner = await signIn(await env.newContext(), env.server);
  for (const name of ['Ada', 'Eve']) {
    const { url } = await (await owner.request.post('/api/agents/invite', { data: { role: 'agent', email: `${name}@shop.example` } })).json();
    const token = url.split('/').at(-1);
    const guest = await env.newContext();
    assert.equal((await guest.request.post('/api/invite', { data: { token, name, password: 'a long enough password' } })).status(), 200);
  }
  const ada = await come('ada');
  await ada.waitForURL('**/admin');
  await ada.waitForSelector('#connection', { state: 'hidden' });
  assert.equal((await (await ada.request.get('/api/me')).json()).name, 'Ada');

  for (const [user, problem, text] of [['eve', 'oidc_unverified', /has not verified/], ['guest', 'oidc_unknown', /No agent has/]]) {
    const page = await come(user);
    await page.waitForURL(`**/login?problem=${problem}`);
    assert.match(await page.textContent('.steps > .problem'), text);
    assert.equal((await page.request.get('/api/me')).status(), 401);
  }
});
