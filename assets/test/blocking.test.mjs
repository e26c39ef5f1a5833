// Blocking a visitor in the console, and what the visitor sees.
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { act, connected, eventually, startEnv, openThread, say, shows, signIn, stateOf, visit } from './harness.mjs';

let env;
before(async () => { env = await startEnv(); });
afterEach(() => env.closeContexts());
after(() => env.close());

test('block and unblock: the visitor is notified, keeps unsent messages, and can send them later', async () => {
  const guest = await visit(await env.newContext(), 'Rahatsız', { lang: 'en' });
  await say(guest, 'hello');
  const agent = await signIn(await env.newContext(), env.server, { lang: 'en' });
  await openThread(agent, 'Rahatsız');
  await act(agent, 'block');
  assert.match(await agent.textContent('#confirm-title'), /Block Rahatsız\?/);
  await agent.waitForSelector('#confirm-option:not([hidden])');
  await agent.click('#confirm-yes');
  await eventually(async () => assert.equal(await agent.textContent('#head-state'), 'Blocked'));
  await eventually(async () => assert.equal(await guest.textContent('#state'), 'The team has blocked this conversation'));
  await say(guest, 'but why');
  await eventually(async () => assert.equal(await stateOf(guest, 'but why'), 'failed'));
  assert.match(await guest.locator('.message', { hasText: 'but why' }).textContent(), /The team has blocked this conversation\./);

  // The block survives a server restart and a reload of both pages.
  await env.server.restart();
  await guest.reload();
  await eventually(async () => assert.equal(await guest.textContent('#state'), 'The team has blocked this conversation'));
  await agent.reload();
  await openThread(agent, 'Rahatsız');
  await eventually(async () => assert.equal(await agent.textContent('#block-text'), 'Unblock'));
  await act(agent, 'block');
  await agent.click('#confirm-yes');
  await eventually(async () => assert.equal(await agent.textContent('#block-text'), 'Block'));
  await guest.reload();
  await connected(guest);
  await guest.locator('.message', { hasText: 'but why' }).locator('button').first().click();
  await eventually(async () => assert.match(await stateOf(guest, 'but why'), /sent|read/));
  await shows(agent, ['hello', 'but why']);
});
