// A day of a team of two, as the owner and a new agent live it: an invitation accepted with a passkey, three visitors answered side by side,
// one handed over, and the agent disabled in the middle of a sentence.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { DESK, eventually, openThread, say, shows, signIn, startEnv, stateOf, STORED, visit } from './harness.mjs';

let env;
before(async () => { env = await startEnv(); });
after(() => env.close());

test('two agents share the work, and the one who is disabled loses nothing', async () => {
  const address = `http://localhost:${env.server.port}`; // passkeys need a host name
  env.hosts.push(address);
  const owner = await signIn(await env.newContext(DESK), env.server);
  await owner.goto('/admin/people');
  await owner.waitForSelector('.people[data-told]');
  await owner.fill('#account-name', 'Berna');
  await owner.click('#account-save');
  await eventually(async () => assert.match(await owner.textContent('#account-said'), /Kaydedildi/));
  await owner.click('#invite-make');
  await owner.waitForSelector('#invite-made:not([hidden])');
  const link = new URL(await owner.inputValue('#invite-link')).pathname;

  const agent = await (await env.newContext({ ...DESK, baseURL: address })).newPage();
  const devtools = await agent.context().newCDPSession(agent);
  await devtools.send('WebAuthn.enable');
  await devtools.send('WebAuthn.addVirtualAuthenticator', {
    options: { protocol: 'ctap2', transport: 'internal', hasResidentKey: true, hasUserVerification: true, isUserVerified: true, automaticPresenceSimulation: true },
  });
  await agent.goto(`${link}?lang=en`);
  await agent.fill('#name', 'Ada');
  await agent.click('#join-passkey');
  await agent.waitForURL('**/admin');
  await agent.waitForSelector('#connection', { state: 'hidden' });

  const names = ['Ayla', 'Cem', 'Deniz'];
  const visitors = await Promise.all(names.map(async (name) => visit(await env.newContext(), name)));
  for (const [i, visitor] of visitors.entries()) await say(visitor, `ben ${names[i]}`);
  await owner.goto('/admin');
  // Each answers one, and both the third.
  for (const [page, name, text] of [[owner, 'Ayla', 'merhaba Ayla'], [agent, 'Cem', 'hello Cem'], [owner, 'Deniz', 'merhaba Deniz'], [agent, 'Deniz', 'hello Deniz']]) {
    await openThread(page, name);
    await say(page, text);
    await shows(visitors[names.indexOf(name)], text === 'hello Deniz' ? ['ben Deniz', 'merhaba Deniz', text] : [`ben ${name}`, text]);
    await eventually(async () => assert.match(await stateOf(page, text), STORED));
  }
  const [ayla, cem, deniz] = visitors;
  const joined = (page) => page.locator('.joined').allTextContents();
  await eventually(async () => assert.deepEqual(await joined(ayla), ['Berna görüşmeye katıldı']));
  await eventually(async () => assert.deepEqual(await joined(cem), ['Ada görüşmeye katıldı']));
  await eventually(async () => assert.deepEqual(await joined(deniz), ['Berna görüşmeye katıldı', 'Artık Ada yanıtlıyor']));
  for (const visitor of visitors) assert.ok(!/localhost:\d+\/login|@/.test(await visitor.textContent('main')), 'no address of an agent');

  // The third is the owner's, who answered it first; it is handed over with a note.
  await owner.click('#assignee summary');
  await owner.click('#hand-over-open');
  await owner.fill('#hand-over-note', 'Sen devam et.');
  await owner.click('#hand-over-yes');
  await eventually(async () => assert.equal(await owner.textContent('#assignee-text'), 'Ada'));
  await eventually(async () => assert.match(await agent.textContent('.message.note'), /Sen devam et/));

  await agent.locator('#text').pressSequentially('I will send you the par');
  await eventually(async () => assert.ok(await deniz.isVisible('#typing')));
  const people = await owner.context().newPage();
  await people.goto('/admin/people');
  await people.waitForSelector('.people[data-told]');
  await people.locator('.agent', { hasText: 'Ada' }).getByRole('button', { name: 'Girişi' }).click();
  await eventually(async () => assert.match(await agent.textContent('#expired'), /disabled your account/));
  await agent.locator('#text').pressSequentially('cel');
  assert.equal(await agent.inputValue('#text'), 'I will send you the parcel');
  await agent.press('#text', 'Enter');
  await agent.reload();
  await agent.waitForURL('**/login**');
  await shows(deniz, ['ben Deniz', 'merhaba Deniz', 'hello Deniz']);

  // Enabled again, Ada signs in with the passkey and finds what was typed.
  await people.locator('.agent', { hasText: 'Ada' }).getByRole('button', { name: 'Girişi' }).click();
  await eventually(async () => assert.doesNotMatch(await people.locator('.agent', { hasText: 'Ada' }).textContent(), /giriş yapamaz/));
  await agent.reload();
  await agent.click('#passkey-button');
  await agent.waitForURL('**/admin');
  await openThread(agent, 'Deniz');
  await eventually(async () => {
    const sent = await agent.locator('.message', { hasText: 'I will send you the parcel' }).count();
    assert.ok(sent || await agent.inputValue('#text') === 'I will send you the parcel');
  });
});
