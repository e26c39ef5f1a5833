// Long conversations: bursts and a long history, with a limited number of elements and a stable scroll position.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { connected, eventually, startEnv, openThread, say, shows, signIn, STORED, visit } from './harness.mjs';

// SOHBET_LONG=5000 tests with more messages.
const MANY = Number(process.env.SOHBET_LONG) || 500;
const HALF = MANY / 2;
const BOUND = 200;

let env;
let writer; // page of the visitor who wrote the long conversation
before(async () => { env = await startEnv(); });
after(() => env.close());

/** The numbers of the messages in the document; `whole` tells whether they are consecutive. */
const run = (page) => page.evaluate(() => [...document.querySelectorAll('.message .bubble')].map((b) => Number(/\d+/.exec(b.textContent)[0])));
const whole = (numbers) => numbers.every((n, i) => i === 0 || n === numbers[i - 1] + 1);

/** Sends n numbered messages as fast as possible by a second socket of the page. Resolves with the errors of refused ones. */
const burst = (page, n) => page.evaluate(async (count) => {
  const thread = JSON.parse(localStorage.getItem('sohbet.visitor')).thread;
  const { io } = await import('/socket.io/socket.io.esm.min.js');
  const socket = io({ path: '/socket.io/', transports: ['websocket'], forceNew: true });
  await new Promise((done) => socket.on('connect', done));
  await socket.emitWithAck('rejoin', { thread_id: thread });
  const acks = [];
  for (let i = 0; i < count; i++) acks.push(socket.emitWithAck('message', { thread_id: thread, content_text: `satır ${i}`, client_id: `b-${i}` }));
  const answers = await Promise.all(acks);
  socket.close();
  return answers.filter((a) => !a.ok).map((a) => a.error.message);
}, n);

test('hundreds in a burst: all arrive in order, few are in the document, and writing still works', async () => {
  const page = await visit(await env.newContext(), 'Uzun');
  writer = page;
  await page.waitForFunction(() => JSON.parse(localStorage.getItem('sohbet.visitor'))?.thread); // the page is connected even before it has joined
  assert.deepEqual(await burst(page, MANY), []);
  await eventually(async () => assert.equal((await run(page)).at(-1), MANY - 1), 'the last one', 30_000);
  const shown = await run(page);
  assert.ok(whole(shown) && shown.length <= BOUND, `${shown.length} in the document`);
  await say(page, `satır ${MANY}`);
  await eventually(async () => assert.match(await page.locator('.message').last().getAttribute('data-state'), STORED));
  assert.ok(await page.evaluate(() => { const s = document.getElementById('scroller'); return s.scrollHeight - s.scrollTop - s.clientHeight < 4; }), 'at the end');
});

test('scrolling up to the start and back in the console: no gap, no jump, and a limited number of elements', async () => {
  const agent = await signIn(await env.newContext(), env.server);
  await openThread(agent, 'Uzun');
  await eventually(async () => assert.equal((await run(agent)).at(-1), MANY));
  for (;;) {
    // One step up, as by a mouse wheel; the visible message must move by exactly that much, whatever is loaded or removed.
    const moved = await agent.evaluate(async () => {
      const scroller = document.getElementById('scroller');
      const top = scroller.getBoundingClientRect().top;
      const seen = [...document.querySelectorAll('.message .line')].find((m) => m.getBoundingClientRect().bottom > top);
      const before = seen.getBoundingClientRect().top;
      const step = Math.min(scroller.scrollTop, 300);
      scroller.scrollTop -= step;
      for (let i = 0; i < 3; i++) await new Promise(requestAnimationFrame);
      return seen.isConnected ? Math.round(seen.getBoundingClientRect().top - before - step) : 'gone';
    });
    const shown = await run(agent);
    assert.ok(whole(shown) && shown.length <= BOUND, `${shown.length} in the document`);
    // At the very top the "loading older" line disappears, and there is nothing to scroll up by that much.
    if (shown[0] > 0) assert.ok(Math.abs(moved) <= 1, `jumped by ${moved} px at ${shown[0]}`);
    else if (await agent.evaluate(() => document.getElementById('scroller').scrollTop === 0)) break;
  }
  // A message arrives: the scroll position stays, and the button that shows it leads to the end.
  await say(writer, `satır ${MANY + 1}`);
  await agent.waitForSelector('#pill.fresh:not([hidden])');
  assert.equal((await run(agent))[0], 0);
  await agent.click('#pill');
  await eventually(async () => assert.equal((await run(agent)).at(-1), MANY + 1));
  const tail = await run(agent);
  assert.ok(whole(tail) && tail.length <= BOUND);
  // Up again a little, and to the very end by keyboard.
  await agent.evaluate(() => { document.getElementById('scroller').scrollTop -= 4_000; });
  await agent.focus('#scroller');
  await agent.keyboard.press('End');
  await eventually(async () => assert.ok(await agent.evaluate(() => { const s = document.getElementById('scroller'); return s.scrollHeight - s.scrollTop - s.clientHeight < 4; })));
});

test('many messages written offline: the page stays small, and all are sent in order', async () => {
  const context = await env.newContext();
  const page = await visit(context, 'Karanlıkta');
  await context.setOffline(true);
  await page.evaluate((n) => {
    const text = document.getElementById('text');
    const form = document.getElementById('composer');
    for (let i = 0; i < n; i++) {
      text.value = `satır ${i}`;
      form.requestSubmit();
    }
  }, HALF);
  await eventually(async () => assert.equal((await run(page)).at(-1), HALF - 1));
  const shown = await run(page);
  assert.ok(whole(shown) && shown.length <= BOUND, `${shown.length} in the document`);
  await context.setOffline(false);
  await connected(page);
  const agent = await signIn(await env.newContext(), env.server);
  await openThread(agent, 'Karanlıkta');
  await eventually(async () => assert.equal((await run(agent)).at(-1), HALF - 1), 'the last one', 60_000);
  await eventually(async () => assert.equal(await page.evaluate(() => Object.keys(localStorage).filter((k) => k.startsWith('sohbet.out.')).length), 0));
  assert.ok(whole(await run(agent)));
  await shows(page, (await run(page)).map((n) => `satır ${n}`));
});
