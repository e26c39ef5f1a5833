// The diagnostics page: its content and buttons, and accessibility in both themes.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { cleanInBoth } from './axe.mjs';
import { DESK, eventually, fits, startEnv, PHONE, say, shows, signIn, visit } from './harness.mjs';

let env;
before(async () => { env = await startEnv(); });
after(() => env.close());

test('diagnostics: checks, repairs, the log and what is wrong, in light and dark', async () => {
  const visitor = await visit(await env.newContext(), 'Ölçüm');
  await say(visitor, 'Merhaba');
  await shows(visitor, ['Merhaba']);
  const page = await signIn(await env.newContext(DESK), env.server);
  await page.click('#menu summary');
  await page.click('a[href="/admin/diagnostics"]');
  await page.waitForSelector('.checks [data-status=ok]');
  const states = await page.locator('.checks li').evaluateAll((rows) => rows.map((r) => r.dataset.status));
  assert.equal(states.length, 7);
  assert.deepEqual(states.slice(0, 3), ['ok', 'off', 'off']);

  await page.click('[data-repair=compact] button');
  await eventually(async () => assert.match(await page.textContent('[data-repair=compact] .outcome:not(.failed)'), /Veritabanı .* MB tutuyordu/), 'compacted');
  await page.click('[data-repair=purge] button');
  await eventually(async () => assert.match(await page.textContent('[data-repair=purge] .outcome:not(.failed)'), /kod ve .* konuşma silindi/), 'purged');
  await page.selectOption('#level', 'debug');
  await eventually(async () => assert.match(await page.textContent('#level-said'), /debug/), 'level set');
  const before = env.server.log.length;
  await fetch(`${env.server.url}/health/live`); // logged only at level debug
  await eventually(() => assert.match(env.server.log.slice(before), /level=DEBUG/), 'a line at debug');
  await page.selectOption('#level', 'info');
  // A sample is taken every ten seconds.
  await eventually(async () => assert.match(await page.textContent('.chart:nth-child(2) .now'), /^[1-9]/), 'visitors online', 20_000);
  assert.ok(await page.locator('.chart:nth-child(4) path.line').count(), 'memory is drawn');

  for (const size of [PHONE, DESK]) {
    await page.setViewportSize(size.viewport);
    await cleanInBoth(page, `${size.viewport.width} px`);
    assert.ok(await fits(page), 'no sideways scrolling');
  }

  // Problems are shown in the page's language if there is a translation, otherwise in the server's words.
  await page.route('**/api/diagnostics*', async (route) => {
    const answer = await route.fetch();
    const found = await answer.json();
    Object.assign(found.checks.disk, { status: 'error', reason: 'disk_full', detail: 'the disk is full' });
    Object.assign(found.checks.telegram, { status: 'warning', reason: 'telegram_silent', detail: 'x', last_contact: new Date(Date.now() - 11 * 60_000).toISOString() });
    Object.assign(found.checks.database, { status: 'error', detail: 'no such table' });
    found.checks.redis = { status: 'ok', duration_ms: 1 };
    await route.fulfill({ response: answer, json: found });
  });
  await page.click('#check');
  for (const text of [/Disk arızalı · disk dolu/, /Telegram dikkat · son yanıtı: 11 dk/, /Veritabanı arızalı · no such table/, /Redis iyi/]) {
    await eventually(async () => assert.match((await page.locator('.checks li p:first-of-type').allTextContents()).join('|'), text));
  }
  await page.unroute('**/api/diagnostics*');

  await env.server.kill();
  await eventually(async () => assert.ok(await page.isVisible('#trouble')), 'told that nothing answers', 15_000);
  await env.server.start();
  await eventually(async () => assert.ok(await page.isHidden('#trouble')), 'and that it answers again', 15_000);
  await page.context().close();
  await visitor.context().close();
});
