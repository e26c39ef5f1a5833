// Who answers: taking, giving, letting go, and the filters. A team of one sees none of it.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { cleanInBoth } from './axe.mjs';
import { DESK, PHONE, eventually, fits, openThread, say, shows, signIn, startEnv, visit } from './harness.mjs';

let env, owner, ada;
before(async () => {
  env = await startEnv();
  owner = await signIn(await env.newContext(DESK), env.server);
});
after(() => env.close());

const answerer = (page) => page.textContent('#assignee-text');
const choose = async (page, text) => {
  await page.click('#assignee summary');
  await page.locator('#assignee-list button', { hasText: text }).click();
};
const listed = (page) => page.locator('.row:not([hidden]) .row-name').allTextContents();
const filter = (page, name) => page.click(`#filters [data-filter=${name}]`);
const counted = (page, name) => page.textContent(`#filters [data-filter=${name}] .filter-count`);

test('a team of one sees no assignees', async () => {
  const visitor = await visit(await env.newContext(), 'Ayla');
  await say(visitor, 'merhaba');
  await openThread(owner, 'Ayla');
  await say(owner, 'buyurun');
  await shows(visitor, ['merhaba', 'buyurun']);
  assert.ok(await owner.isHidden('#assignee'));
  assert.deepEqual(await owner.locator('#filters button:visible').count(), 3);
  assert.ok(await owner.locator('.row-agent').first().isHidden());
});

test('agents take, give and let go, and both consoles agree', async () => {
  const invited = await owner.request.post('/api/agents/invite', { data: { role: 'agent' } });
  const context = await env.newContext(DESK);
  const token = (await invited.json()).url.split('/').at(-1);
  assert.equal((await context.request.post('/api/invite', { data: { token, name: 'Ada Lovelace', password: 'a long enough password' } })).status(), 200);
  ada = await context.newPage();
  await ada.goto('/admin?lang=en');
  await ada.waitForSelector('#connection', { state: 'hidden' });
  await owner.reload();
  await owner.waitForSelector('#assignee:visible');
  await openThread(ada, 'Ayla');
  assert.equal(await answerer(owner), 'Siz', 'who has answered');
  await eventually(async () => assert.equal(await answerer(ada), 'admin'));

  await choose(ada, 'Take');
  await eventually(async () => assert.deepEqual([await answerer(owner), await answerer(ada)], ['Ada Lovelace', 'You']));
  await choose(ada, 'Give to admin');
  await eventually(async () => assert.deepEqual([await answerer(owner), await answerer(ada)], ['Siz', 'admin']));
  await choose(owner, 'Bırak');
  await eventually(async () => assert.deepEqual([await answerer(owner), await answerer(ada)], ['Sahipsiz', 'Unassigned']));
  await ada.focus('#scroller');
  await ada.keyboard.press('t');
  await eventually(async () => assert.equal(await answerer(owner), 'Ada Lovelace'));
});

test('filters show whose conversations are whose', async () => {
  for (const name of ['Berk', 'Cem', 'Derya']) await say(await visit(await env.newContext(), name), `ben ${name}`);
  await openThread(owner, 'Berk');
  await say(owner, 'hoş geldiniz');
  const cases = [[owner, { mine: ['Berk'], unassigned: ['Derya', 'Cem'] }], [ada, { mine: ['Ayla'], unassigned: ['Derya', 'Cem'] }]];
  for (const [page, wanted] of cases) {
    for (const [name, rows] of Object.entries(wanted)) {
      await filter(page, name);
      await eventually(async () => assert.deepEqual(await listed(page), rows), name);
      await eventually(async () => assert.equal(await counted(page, name), String(rows.length)));
    }
  }
  await openThread(owner, 'Cem'); // the list of ada shows unassigned ones
  await choose(owner, 'Ada Lovelace yanıtlasın');
  await eventually(async () => assert.deepEqual(await listed(ada), ['Derya']));
  await filter(ada, 'mine');
  await eventually(async () => assert.deepEqual(await listed(ada), ['Cem', 'Ayla']));
  await filter(ada, 'active');
  await eventually(async () => assert.equal((await listed(ada)).length, 4));
  for (const size of [PHONE, DESK]) {
    await ada.setViewportSize(size.viewport);
    await cleanInBoth(ada, `assigned, ${size.viewport.width} px`);
    assert.ok(await fits(ada), 'no sideways scrolling');
    if (process.env.SHOTS) await ada.screenshot({ path: `${process.env.SHOTS}/ada-${size.viewport.width}.png` });
  }
  if (process.env.SHOTS) {
    await owner.click('#assignee summary');
    await owner.screenshot({ path: `${process.env.SHOTS}/owner.png` });
    await owner.emulateMedia({ colorScheme: 'dark' });
    await owner.screenshot({ path: `${process.env.SHOTS}/owner-dark.png` });
    await ada.setViewportSize(PHONE.viewport);
    await ada.click('#back');
    await ada.waitForTimeout(500);
    await ada.screenshot({ path: `${process.env.SHOTS}/ada-list-390.png` });
  }
});
