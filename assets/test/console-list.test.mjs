// The console's list with 10,000 conversations: number of elements, content at each position, and stable scroll position.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { eventually, startEnv, say, seed, signIn, visit } from './harness.mjs';

const THREADS = 10_000;
const CLOSED = THREADS / 50;
const OPEN = THREADS - CLOSED;
const MOST_ROWS = 60;
const HISTORY = 800;
const MOST_MESSAGES = 200;

let env;
let agent;
before(async () => {
  env = await startEnv();
  seed(env.server, '-threads', String(THREADS), '-history', String(HISTORY));
  agent = await signIn(await env.newContext(), env.server);
});
after(() => env.close());

/** Rendered rows: {n: number from the seed, place, of, top}, in order. */
const rows = () => agent.evaluate(() => [...document.querySelectorAll('.row:not(.coming)')].map((row) => ({
  n: Number(row.querySelector('.row-name').textContent.split(' ').at(-1)), place: Number(row.ariaPosInSet), of: Number(row.ariaSetSize), top: row.getBoundingClientRect().top,
})));
const scrollTo = (share) => agent.evaluate((to) => { const s = document.getElementById('list-scroller'); s.scrollTop = to * s.scrollHeight; }, share);

/** The number of the open conversation at this place: the seed closes every fiftieth. */
const numberAt = (place) => place + Math.floor((place - 1) / 49);

/** Waits until all rendered rows are loaded and in their places, and `there` holds for them. */
async function right(what, there = () => true) {
  return eventually(async () => {
    assert.equal(await agent.locator('.row.coming').count(), 0, 'nothing is on its way');
    const seen = await rows();
    assert.ok(seen.length > 8 && seen.length <= MOST_ROWS, `${seen.length} rows exist`);
    for (const { n, place, of } of seen) {
      assert.equal(n, numberAt(place), `the conversation at place ${place}`);
      assert.equal(of, OPEN);
    }
    assert.ok(there(seen), `places ${seen[0].place} to ${seen.at(-1).place}`);
    return seen;
  }, what, 20_000);
}

test('the document stays small, and every scroll position shows the right conversations: top, middle, end, and back', async () => {
  await eventually(async () => assert.match(await agent.textContent('[data-filter=active]'), /9\.800/));
  await right('the top', (seen) => seen[0].place === 1);
  await scrollTo(0.5);
  await right('the middle', (seen) => seen[0].place > OPEN * 0.4 && seen[0].place < OPEN * 0.6);
  await scrollTo(1);
  await right('the end', (seen) => seen.at(-1).place === OPEN);
  await scrollTo(0);
  await right('the top again', (seen) => seen[0].place === 1);
});

test('by keyboard: End, Up, PageDown, Home, and Enter to open', async () => {
  await agent.focus('#threads');
  const active = () => agent.evaluate(() => {
    const row = document.getElementById(document.getElementById('threads').getAttribute('aria-activedescendant'));
    const { top, bottom } = row.getBoundingClientRect();
    const view = document.getElementById('list-scroller').getBoundingClientRect();
    return { place: Number(row.ariaPosInSet), inView: top >= view.top - 1 && bottom <= view.bottom + 1 };
  });
  const at = (place) => eventually(async () => assert.deepEqual(await active(), { place, inView: true }));
  for (const [key, place] of [['End', OPEN], ['ArrowUp', OPEN - 1], ['Home', 1], ['ArrowDown', 2], ['ArrowDown', 3], ['ArrowUp', 2]]) {
    await agent.keyboard.press(key);
    await at(place);
  }
  await agent.keyboard.press('PageDown');
  await eventually(async () => assert.ok((await active()).place > 8));
  const { place } = await active();
  await agent.keyboard.press('Enter');
  await eventually(async () => assert.match(await agent.textContent('#head-name'), new RegExp(` ${numberAt(place)}$`)));
  assert.equal(await agent.locator('.row[aria-selected=true]').getAttribute('aria-posinset'), String(place));
});

test('the scroll position further down is kept when a message arrives', async () => {
  await scrollTo(0.2);
  const before = await right('further down', (seen) => seen.at(-1).place > OPEN * 0.1);
  const held = before[Math.floor(before.length / 2)];
  const visitor = await visit(await env.newContext(), 'Yeni Gelen');
  await say(visitor, 'merhaba');
  await eventually(async () => {
    const now = (await rows()).find((row) => row.n === held.n);
    assert.equal(now.place, held.place + 1, 'one more above');
    assert.ok(Math.abs(now.top - held.top) <= 1, `it went from ${held.top} to ${now.top}`);
  });
  await scrollTo(0);
  await eventually(async () => assert.equal(await agent.locator('.row-name').first().textContent(), 'Yeni Gelen'));
  await visitor.context().close();
});

test('the list of closed conversations, and a search through all', async () => {
  await agent.click('[data-filter=closed]');
  await eventually(async () => {
    const seen = await rows();
    assert.equal(seen[0].of, CLOSED);
    assert.deepEqual(seen.slice(0, 3).map((row) => row.n), [50, 100, 150]);
  });
  await agent.fill('#search', 'Yılmaz');
  await eventually(async () => {
    assert.match(await agent.textContent('#found'), /^\d+ sonuç$/);
    const names = await agent.locator('.row-name').allTextContents();
    assert.ok(names.length && names.every((name) => name.includes('Yılmaz')));
  });
  await agent.fill('#search', '');
  await eventually(async () => assert.equal((await rows())[0].of, CLOSED));
  await agent.click('[data-filter=active]');
  await eventually(async () => assert.equal((await rows())[1].of, OPEN + 1));
});

test('a long conversation: scrolling up to its first message, with a small document', async () => {
  await agent.fill('#search', '+90 532 001 0001');
  await eventually(async () => {
    assert.equal(await agent.locator('.row').count(), 1);
    assert.equal(await agent.locator('.row.coming').count(), 0, 'a place that waits for its conversation is a row too');
  });
  const name = await agent.locator('.row-name').textContent();
  await agent.locator('.row').click();
  await eventually(async () => assert.equal(await agent.textContent('#head-name'), name));
  await agent.waitForSelector('.message');
  const first = () => agent.locator('.message .caption').first().textContent();
  await eventually(async () => {
    await agent.evaluate(() => { document.getElementById('scroller').scrollTop = 0; });
    assert.ok(await agent.locator('.message').count() <= MOST_MESSAGES);
    assert.match(await first(), /^Merhaba, siparişim ne zaman/);
  }, 'the first message', 30_000);
  const seen = await agent.locator('.message .caption').allTextContents();
  assert.deepEqual(seen.slice(1, 4), ['mesaj 1', 'mesaj 2', 'mesaj 3']);
  await agent.evaluate(() => { const s = document.getElementById('scroller'); s.scrollTop = s.scrollHeight; });
});
