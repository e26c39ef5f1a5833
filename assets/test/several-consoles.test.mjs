// Three consoles and two visitors' pages on three processes: after one process was without Redis, all pages show what is stored, without a reload.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { postgres } from '../../handlers/test/harness.mjs';
import { Gate } from '../../handlers/test/services.mjs';
import { DESK, eventually, openThread, say, Server, shows, signIn, startEnv, visit } from './harness.mjs';

let env;
let gate;
const servers = [];
const consoles = [];
const visitors = [];

before(async () => {
  const redis = process.env.SOHBET_TEST_REDIS;
  assert.ok(redis, 'SOHBET_TEST_REDIS is not set: run this through .ci/services, or run make test');
  gate = await Gate.start(redis);
  const shared = { ...postgres(), REDIS_URL: redis };
  env = await startEnv(shared);
  servers.push(env.server);
  for (const settings of [shared, { ...shared, REDIS_URL: gate.url }]) servers.push(await new Server(settings).start());
  env.hosts.push(...servers.slice(1).map((server) => server.url));
  for (const server of servers) consoles.push(await signIn(await env.newContext({ ...DESK, baseURL: server.url }), server));
  for (const [name, server] of [['Ada', servers[1]], ['Efe', servers[2]]]) visitors.push(await visit(await env.newContext({ baseURL: server.url }), name));
  for (const page of visitors) await say(page, 'merhaba');
});
after(async () => {
  gate?.stop();
  await env?.close();
  for (const server of servers.slice(1)) await server.kill('SIGTERM');
});

const row = (page, name) => page.locator('.row', { hasText: name }).first();

test('after a process was without Redis, consoles and pages show what is stored', async () => {
  const [here, , cut] = consoles;
  const [ada, efe] = visitors;
  for (const page of consoles) await openThread(page, 'Ada');
  await say(here, 'buyurun');
  for (const page of [...consoles, ada]) await shows(page, ['merhaba', 'buyurun']);

  gate.close();
  await eventually(async () => {
    const { checks } = await (await fetch(`${servers[2].url}/health`)).json();
    assert.equal(checks.redis.status, 'warning');
  }, 'the process notices');
  // On the process that is alone an answer, which ends the wait; then on the others a question, and the end of the conversation.
  await openThread(cut, 'Efe');
  await say(cut, 'hemen bakıyorum');
  await shows(efe, ['merhaba', 'hemen bakıyorum']);
  await say(ada, 'bir soru daha');
  await openThread(here, 'Efe');
  await here.click('#finish');
  await here.waitForSelector('#reopen:not([hidden])');
  gate.open();

  await eventually(async () => {
    for (const page of consoles) {
      assert.equal(await row(page, 'Efe').count(), 0, 'a closed conversation is not in the list of open ones');
      assert.match(await row(page, 'Ada').textContent(), /bir soru daha/);
      assert.match(await page.textContent('[data-filter=waiting]'), /1/, 'Ada waits');
    }
  }, 'the lists agree');
  await shows(ada, ['merhaba', 'buyurun', 'bir soru daha']);
  await openThread(cut, 'Ada');
  await shows(cut, ['merhaba', 'buyurun', 'bir soru daha']);
  await efe.waitForSelector('#offer[data-kind=closed]'); // asks how it was
  assert.deepEqual(env.problems, []);
});
