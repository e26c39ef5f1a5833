// The audit log: what owners see of it, its filters, its file, and that only they do.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { cleanInBoth } from './axe.mjs';
import { DESK, PHONE, eventually, fits, openThread, say, shows, signIn, startEnv, visit } from './harness.mjs';

const PASSWORD = 'a long enough password';
let env;
before(async () => { env = await startEnv(); });
after(() => env.close());

const entries = (page) => page.locator('.entry').evaluateAll((rows) => rows.map((row) => row.textContent));
const openLog = async (page) => {
  await page.goto('/admin/audit');
  await page.waitForSelector('.audit[data-told]');
};

test('an owner reads who did what, filters it and downloads it', async () => {
  const owner = await signIn(await env.newContext(DESK), env.server);
  const visitor = await visit(await env.newContext(), '=Zeynep');
  await say(visitor, 'merhaba');
  await openThread(owner, '=Zeynep');
  await say(owner, 'buyurun');
  await shows(visitor, ['merhaba', 'buyurun']);
  const other = await (await env.newContext()).newPage();
  await other.goto('/login');
  const invited = await owner.evaluate(async () => {
    const headers = { 'Content-Type': 'application/json' };
    const { url } = await (await fetch('/api/agents/invite', { method: 'POST', headers, body: '{"role":"agent"}' })).json();
    return url;
  });
  const ada = await (await env.newContext()).newPage();
  await ada.goto(invited);
  await ada.fill('#name', 'Ada Lovelace');
  await ada.fill('#password', PASSWORD);
  await ada.click('#join-button');
  await ada.waitForURL('**/admin');
  const refused = await other.evaluate(() => fetch('/admin/login', { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: '{"username":"Ada Lovelace","password":"x"}' }).then((r) => r.status));
  assert.equal(refused, 401);

  await owner.goto('/admin/people');
  await owner.waitForSelector('.people[data-told]');
  await owner.click('#audit-link a');
  await owner.waitForSelector('.audit[data-told]');
  await eventually(async () => {
    await openLog(owner);
    const shown = (await entries(owner)).join('\n');
    assert.match(shown, /Konuşma ataması.*admin · =Zeynep.*admin/);
    assert.match(shown, /Ekibe katılma.*Ada Lovelace.*127\.0\.0\.1 · .*Chrom/);
    assert.match(shown, /Parola girme.*yanlış.*Giriş yapmamış biri/);
    assert.doesNotMatch(shown, /merhaba|buyurun/);
  }, 'entries are there', 10_000);
  for (const size of [PHONE, DESK]) {
    await owner.setViewportSize(size.viewport);
    await cleanInBoth(owner, `audit log, ${size.viewport.width} px`);
    assert.ok(await fits(owner), 'no sideways scrolling');
  }

  await owner.selectOption('#filter-agent', { label: 'Ada Lovelace' });
  await eventually(async () => assert.ok((await entries(owner)).every((text) => text.includes('Ada Lovelace'))), 'by agent');
  await owner.selectOption('#filter-event', 'agent_joined');
  await eventually(async () => assert.equal((await entries(owner)).length, 1), 'by event');
  const [download] = await Promise.all([owner.waitForEvent('download'), owner.click('#audit-file')]);
  const lines = (await readFile(await download.path(), 'utf8')).trim().split('\n');
  assert.equal(lines.length, 2);
  assert.match(lines[1], /agent_joined,ok,2,Ada Lovelace,127\.0\.0\.1/);
  await owner.fill('#filter-to', '2001-01-01');
  await eventually(async () => assert.ok(await owner.isVisible('#audit-none')), 'nothing is found');
  await owner.fill('#filter-to', '');
  await eventually(async () => assert.equal((await entries(owner)).length, 1), 'the day is cleared');

  assert.equal((await ada.goto('/admin/audit')).status(), 403);
  await ada.goto('/admin/people');
  await ada.waitForSelector('.people[data-told]');
  assert.ok(!await ada.isVisible('#audit-link'));
});

test('older entries come page by page', async () => {
  const owner = await signIn(await env.newContext(), env.server);
  await owner.evaluate(async () => {
    for (let i = 0; i < 60; i++) await fetch('/api/canned', { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ shortcut: `r${i}`, text: 'x' }) });
  });
  await eventually(async () => {
    await openLog(owner);
    await owner.selectOption('#filter-event', 'canned_saved');
    await owner.waitForSelector('.entry');
    await eventually(async () => assert.ok(await owner.isVisible('#audit-more')), 'there are more', 2000);
    await owner.click('#audit-more');
    await eventually(async () => assert.equal((await entries(owner)).length, 60), 'all', 2000);
  }, 'all of them', 20_000);
  assert.equal(new Set(await owner.locator('.entry').evaluateAll((rows) => rows.map((row) => row.dataset.entry))).size, 60);
  assert.ok(!await owner.isVisible('#audit-more'));
});

test('what was done just before an ordinary stop is stored', async () => {
  const owner = await signIn(await env.newContext(), env.server);
  await owner.evaluate(async () => {
    for (let i = 0; i < 5; i++) await fetch('/api/canned', { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ shortcut: `late${i}`, text: 'x' }) });
  });
  await env.server.restart('SIGTERM');
  await openLog(owner);
  await owner.selectOption('#filter-event', 'canned_saved');
  await owner.waitForSelector('.entry');
  await owner.click('#audit-more');
  await eventually(async () => assert.equal((await entries(owner)).length, 65));
});
