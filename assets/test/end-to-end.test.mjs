// End to end: a visitor and an agent talk, reload, and restart the server, and nothing is lost.
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { connected, DESK, eventually, fits, startEnv, openThread, PHONE, say, sayAll, shows, signIn, stateOf, STORED, STORED_MESSAGE, texts, visit } from './harness.mjs';

let env;
before(async () => { env = await startEnv(); });
afterEach(() => env.closeContexts());
after(() => env.close());

const words = {
  tr: { lang: 'tr', visitor: 'Ayşe Yılmaz', first: 'Merhaba, siparişim nerede?', answer: 'Hemen bakıyorum.', typing: 'Ekip yazıyor', day: 'Bugün', pageTitle: /Bize yazın/ },
  en: { lang: 'en', visitor: 'Ann Taylor', first: 'Hello, where is my order?', answer: 'Let me look.', typing: 'The team is typing', day: 'Today', pageTitle: /Write to us/ },
};

for (const [device, size] of [['phone', PHONE], ['desk', DESK]]) {
  for (const [lang, scheme] of [['tr', 'light'], ['en', 'dark']]) {
    test(`a conversation on a ${device}, ${lang}, ${scheme}`, async () => {
      const w = words[lang];
      const name = `${w.visitor} ${device}`;
      const visitorContext = await env.newContext({ ...size, colorScheme: scheme });
      const agentContext = await env.newContext({ ...size, colorScheme: scheme });

      const agent = await signIn(agentContext, env.server, { lang });
      const visitor = await visit(visitorContext, name, { lang });
      assert.match(await visitor.title(), w.pageTitle);

      // The visitor writes; the console shows the conversation with name, preview, online dot and badge.
      await say(visitor, w.first);
      await shows(visitor, [w.first]);
      await eventually(async () => assert.match(await stateOf(visitor, w.first), STORED), 'one tick');
      const row = agent.locator('.row', { hasText: name });
      await row.waitFor();
      await eventually(async () => assert.equal(await row.locator('.row-last').textContent(), w.first), 'preview');
      assert.ok(await row.locator('.dot').isVisible(), 'online dot');
      assert.equal(await row.locator('.badge').textContent(), '1');
      assert.match(await agent.title(), /^\(\d+\) /);

      // Read marks and replies arrive, and each side sees the other typing.
      await openThread(agent, name);
      await shows(agent, [w.first]);
      await eventually(async () => assert.equal(await stateOf(visitor, w.first), 'read'), 'read mark');
      await row.locator('.badge').waitFor({ state: 'hidden' });
      await agent.locator('#text').pressSequentially('abc');
      await visitor.waitForSelector('#typing:not([hidden])');
      assert.equal(await visitor.textContent('#typing-text'), w.typing);
      await visitor.locator('#text').pressSequentially('abc');
      await agent.waitForSelector('#typing:not([hidden])');
      await visitor.fill('#text', '');
      await agent.waitForSelector('#typing', { state: 'hidden' });
      await say(agent, w.answer);
      await shows(visitor, [w.first, w.answer]);
      await visitor.waitForSelector('#typing', { state: 'hidden' });
      await eventually(async () => assert.equal(await stateOf(agent, w.answer), 'read'), 'read by the visitor');
      assert.equal(await visitor.locator('.day').count(), 1);
      assert.equal(await visitor.locator('.day').textContent(), w.day);

      // Both pages are reloaded.
      await visitor.reload();
      await connected(visitor);
      await shows(visitor, [w.first, w.answer]);
      await agent.reload();
      await openThread(agent, name);
      await shows(agent, [w.first, w.answer]);

      // The server is restarted with SIGTERM; both pages reconnect by themselves.
      await env.server.restart('SIGTERM');
      await connected(visitor);
      await say(visitor, 'after restart');
      await shows(agent, [w.first, w.answer, 'after restart'], 15_000);
      await say(agent, 'welcome back');
      await shows(visitor, [w.first, w.answer, 'after restart', 'welcome back']);

      // The thread id is in no URL, and nothing overflows sideways.
      const thread = await visitor.evaluate(() => JSON.parse(localStorage.getItem('sohbet.visitor')).thread);
      for (const page of [visitor, agent]) {
        assert.ok(!page.url().includes(thread));
        assert.ok(await fits(page), 'no sideways scrolling');
      }
      await visitorContext.close();
      await agentContext.close();
    });
  }
}

test('the phone goes offline and comes back on another network', async () => {
  const context = await env.newContext(PHONE);
  const visitor = await visit(context, 'Yolda Biri');
  await say(visitor, 'first');
  await eventually(async () => assert.match(await stateOf(visitor, 'first'), STORED));
  const agent = await signIn(await env.newContext(), env.server);
  await openThread(agent, 'Yolda Biri');

  await context.setOffline(true);
  // Losing the network also cuts the socket, which the browser's offline mode does not do.
  await env.server.kill();
  await visitor.waitForSelector('#connection:not([hidden])');
  await say(visitor, 'second');
  await say(visitor, 'third');
  assert.match(await visitor.textContent('#connection'), /2 mesajınız sırada/);
  assert.equal(await stateOf(visitor, 'third'), 'waiting');
  await env.server.start();
  await context.setOffline(false);
  await connected(visitor);
  await visitor.waitForSelector('#connection', { state: 'hidden' });
  await shows(agent, ['first', 'second', 'third'], 15_000);
  await eventually(async () => assert.equal(await visitor.locator('.message[data-state=waiting]').count(), 0));
});

test('messages written while the visitor was away are shown afterwards, in order', async () => {
  const context = await env.newContext();
  let visitor = await visit(context, 'Sonra Gelen');
  await say(visitor, 'question');
  const agent = await signIn(await env.newContext(), env.server);
  await openThread(agent, 'Sonra Gelen');
  await visitor.close();
  const lines = Array.from({ length: 12 }, (_, i) => `answer ${i}`);
  for (const line of lines) await say(agent, line);
  await shows(agent, ['question', ...lines]);
  await eventually(async () => assert.equal(await agent.locator('.message[data-state=sent]').count(), 12));
  visitor = await context.newPage();
  await visitor.goto('/');
  await shows(visitor, ['question', ...lines]);
});

test('scrolling up loads older messages, and the scroll position is kept', async () => {
  const context = await env.newContext(PHONE);
  const visitor = await visit(context, 'Uzun Konuşan');
  const total = 105;
  await sayAll(visitor, Array.from({ length: total }, (_, i) => `line ${i}`));
  await eventually(async () => assert.equal(await visitor.locator(STORED_MESSAGE).count(), total), 'all sent', 30_000);
  await visitor.reload();
  await connected(visitor);
  await eventually(async () => assert.equal((await texts(visitor)).at(-1), `line ${total - 1}`));
  assert.equal((await texts(visitor)).length, 50);
  for (let rounds = 0; rounds < 6 && (await texts(visitor)).length < total; rounds++) {
    const shown = await texts(visitor);
    const first = visitor.locator('.message', { hasText: shown[0] }).first().locator('.bubble');
    const was = await visitor.evaluate(() => {
      document.getElementById('scroller').scrollTop = 0;
      return document.querySelector('.message .bubble').getBoundingClientRect().top;
    });
    await eventually(async () => assert.ok((await texts(visitor)).length > shown.length), 'older messages');
    const { y } = await first.boundingBox();
    assert.ok(Math.abs(y - was) < 60, `the reader keeps the place, but ${shown[0]} went from ${was} to ${y}`);
  }
  assert.deepEqual(await texts(visitor), Array.from({ length: total }, (_, i) => `line ${i}`));
});

test('a new message does not scroll a reader further up; a button leads to it', async () => {
  const visitor = await visit(await env.newContext(PHONE), 'Yukarıda');
  await sayAll(visitor, Array.from({ length: 30 }, (_, i) => `line ${i}`));
  const agent = await signIn(await env.newContext(), env.server);
  await openThread(agent, 'Yukarıda');
  await visitor.evaluate(() => { document.getElementById('scroller').scrollTop = 0; });
  await say(agent, 'new below');
  await eventually(async () => assert.match(await visitor.textContent('#pill:not([hidden])'), /1 yeni mesaj/));
  assert.ok(await visitor.evaluate(() => document.getElementById('scroller').scrollTop) < 50);
  await eventually(async () => assert.equal(await stateOf(agent, 'new below'), 'delivered'), 'there, and not read yet');
  await visitor.click('#pill');
  await visitor.waitForSelector('#pill', { state: 'hidden' });
  await eventually(async () => assert.equal(await stateOf(agent, 'new below'), 'read'), 'read now');
});
