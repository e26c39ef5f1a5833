// Long conversations: hundreds in a burst and a history of thousands, with few elements and a reader who is left in place.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { connected, eventually, house, openThread, say, shows, signIn, STORED, visit } from './harness.mjs';

// Larger by SOHBET_LONG=5000; what is tested does not depend on it.
const MANY = Number(process.env.SOHBET_LONG) || 500;
const HALF = MANY / 2;
const BOUND = 200;

let h;
let writer; // the page of who wrote the long conversation
before(async () => { h = await house(); });
after(() => h.close());

/** Texts of what is in the document, and whether they follow each other without a hole. */
const run = (page) => page.evaluate(() => [...document.querySelectorAll('.message .bubble')].map((b) => Number(/\d+/.exec(b.textContent)[0])));
const whole = (numbers) => numbers.every((n, i) => i === 0 || n === numbers[i - 1] + 1);

/** Sends n numbered lines on a second socket of the page, as fast as they go. Resolves with why some were refused. */
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

test('hundreds in a row: every one arrives, in order, few stand in the document, and one can still write', async () => {
  const page = writer = await visit(await h.person(), 'Uzun');
  await page.waitForFunction(() => JSON.parse(localStorage.getItem('sohbet.visitor'))?.thread); // connected it is before the name is given too
  assert.deepEqual(await burst(page, MANY), []);
  await eventually(async () => assert.equal((await run(page)).at(-1), MANY - 1), 'the last one', 30_000);
  const shown = await run(page);
  assert.ok(whole(shown) && shown.length <= BOUND, `${shown.length} in the document`);
  await say(page, `satır ${MANY}`);
  await eventually(async () => assert.match(await page.locator('.message').last().getAttribute('data-state'), STORED));
  assert.ok(await page.evaluate(() => { const s = document.getElementById('scroller'); return s.scrollHeight - s.scrollTop - s.clientHeight < 4; }), 'at the end');
});

test('up through all of it and back: no hole, no jump, never more elements than that; and the console does it too', async () => {
  const agent = await signIn(await h.person(), h.server);
  await openThread(agent, 'Uzun');
  await eventually(async () => assert.equal((await run(agent)).at(-1), MANY));
  for (;;) {
    // One step up, as a wheel does; the message in the middle of the view must move by that much, whatever came in or went.
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
    // At the very top the line above the messages goes, and there is nothing to scroll up by that much.
    if (shown[0] > 0) assert.ok(Math.abs(moved) <= 1, `jumped by ${moved} px at ${shown[0]}`);
    else if (await agent.evaluate(() => document.getElementById('scroller').scrollTop === 0)) break;
  }
  // Somebody writes meanwhile: the reader stays, the pill tells, and leads to the end.
  await say(writer, `satır ${MANY + 1}`);
  await agent.waitForSelector('#pill.fresh:not([hidden])');
  assert.equal((await run(agent))[0], 0);
  await agent.click('#pill');
  await eventually(async () => assert.equal((await run(agent)).at(-1), MANY + 1));
  const tail = await run(agent);
  assert.ok(whole(tail) && tail.length <= BOUND);
  // And up again a little, down by keyboard to the very end.
  await agent.evaluate(() => { document.getElementById('scroller').scrollTop -= 4_000; });
  await agent.focus('#scroller');
  await agent.keyboard.press('End');
  await eventually(async () => assert.ok(await agent.evaluate(() => { const s = document.getElementById('scroller'); return s.scrollHeight - s.scrollTop - s.clientHeight < 4; })));
});

test('the outbox holds half of them, written in the dark, the page stays small, and all arrive in order', async () => {
  const context = await h.person();
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
  const agent = await signIn(await h.person(), h.server);
  await openThread(agent, 'Karanlıkta');
  await eventually(async () => assert.equal((await run(agent)).at(-1), HALF - 1), 'the last one', 60_000);
  await eventually(async () => assert.equal(await page.evaluate(() => Object.keys(localStorage).filter((k) => k.startsWith('sohbet.out.')).length), 0));
  assert.ok(whole(await run(agent)));
  await shows(page, (await run(page)).map((n) => `satır ${n}`));
});
