// The console's line with the progress of long work on the server.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { cleanInBoth } from './axe.mjs';
import { DESK, eventually, fits, interceptEvents, PHONE, signIn, startEnv } from './harness.mjs';

let env;
before(async () => { env = await startEnv(); });
after(() => env.close());

test('the progress of long work is shown until it is finished', async () => {
  const context = await env.newContext(DESK);
  const events = await interceptEvents(context);
  const page = await signIn(context, env.server);
  const line = page.locator('#job');
  const job = { id: 7, kind: 'clear_all', done: 250_000, total: 1_000_000, finished: false, since: new Date().toISOString() };
  assert.equal(await line.isVisible(), false, 'nothing is shown without work');
  await eventually(async () => {
    events.inject('job', job); // the ack of admin_join may still arrive, and says that there is none
    assert.ok(await line.isVisible());
  }, 'the line is shown');
  assert.equal(await page.textContent('#job-name'), 'Tüm konuşmaların kayıtları siliniyor…');
  assert.equal(await page.evaluate(() => document.getElementById('job-bar').position), 0.25);
  for (const size of [PHONE, DESK]) {
    await page.setViewportSize(size.viewport);
    events.inject('job', job); // repeated, because silent work is hidden after a while
    events.inject('job', { ...job, id: 8, kind: 'compact', total: 0 }); // one at a time
    assert.equal(await page.textContent('#job-name'), 'Tüm konuşmaların kayıtları siliniyor…');
    await cleanInBoth(page, `${size.viewport.width} px`);
    assert.ok(await fits(page), 'no sideways scrolling');
    if (process.env.SHOTS) {
      for (const colorScheme of ['light', 'dark']) {
        await page.emulateMedia({ colorScheme });
        await page.screenshot({ path: `${process.env.SHOTS}/job-${size.viewport.width}-${colorScheme}.png` });
      }
    }
  }
  events.inject('job', job);
  events.inject('job', { ...job, done: 1_000_000, finished: true });
  await line.waitFor({ state: 'hidden' });
  events.inject('job', { ...job, id: 8, kind: 'compact', total: 0 });
  await line.waitFor({ state: 'visible' });
  assert.equal(await page.evaluate(() => document.getElementById('job-bar').position), -1, 'how far it is is not known');
});

test('what an agent deletes is reported as work only while some is left', async () => {
  const page = await signIn(await env.newContext(DESK), env.server);
  const answer = await page.evaluate(() => fetch('/api/messages/clear_all?job=1', {
    method: 'POST', headers: { 'X-CSRF-Token': document.querySelector('meta[name="csrf-token"]').content },
  }).then((r) => r.json()));
  assert.equal(answer.success, true);
  assert.equal(answer.job, undefined, 'there were no conversations');
});
