// Who is online in the console's list: an older state never replaces a newer one. Runs in Node, because the data needs no document.
import assert from 'node:assert/strict';
import { test } from 'node:test';

globalThis.location = new URL('https://sohbet.example/');
if (!globalThis.navigator) globalThis.navigator = { languages: ['tr'] }; // Node 18 has none
globalThis.document = { documentElement: { lang: 'tr' }, getElementById: () => null, querySelector: () => null };
const { ThreadStore } = await import('../static/js/console/thread-store.js');

let rows = []; // all conversations, newest first
globalThis.fetch = async (path) => {
  const query = new URL(path, location).searchParams;
  const page = rows.filter((one) => !query.get('before') || one.last_message_time < query.get('before')).slice(0, Number(query.get('limit')));
  return { ok: true, redirected: false, json: async () => (path.includes('counts') ? { active: rows.length, waiting: 0, closed: 0, unread: 0 } : page) };
};
const row = (online, version) => ({ id: 'a', status: 'active', online, ...(version && { online_version: version }), last_message_time: '2026-01-01T10:00:00.000Z' });

test('an older event about presence is ignored', async () => {
  const threads = new ThreadStore();
  rows = [row(true, 10)];
  await threads.load();
  const is = (online) => assert.equal(threads.get('a').online, online);
  is(true);
  threads.presence('a', false, 9, {});
  is(true);
  threads.presence('a', false, 12, { name: 'Ali' });
  is(false);
  threads.presence('a', true, 11, { name: 'old' });
  is(false);
  assert.equal(threads.get('a').name, 'Ali');
  threads.presence('a', true, undefined, { seen: new Date() }); // a heartbeat that was sent before
  is(false);
  threads.message({ id: 1, thread_id: 'a', sender_type: 'visitor', content_text: 'x', content_type: 'text', created_at: '2026-01-01T10:00:01.000Z' }, { watched: true });
  is(false);
  await threads.load(); // answered before the visitor left
  is(false);
  threads.forgetVersions(); // after a reconnection the list counts
  await threads.load();
  is(true);
});

test('servers without versions are believed', async () => {
  const threads = new ThreadStore();
  rows = [row(true)];
  await threads.load();
  threads.presence('a', false, undefined, {});
  assert.equal(threads.get('a').online, false);
  threads.presence('a', true, undefined, {});
  assert.equal(threads.get('a').online, true);
});

test('after a reconnection all loaded conversations are read, not only the first page', async () => {
  const threads = new ThreadStore();
  rows = Array.from({ length: 60 }, (_, i) => ({ ...row(true, 5), id: `${i}`, last_message_time: new Date(Date.UTC(2026, 0, 1, 12, 0, -i)).toISOString() }));
  await threads.load();
  await threads.reach(59);
  assert.equal(threads.known.length, 60);
  rows = rows.map((one) => ({ ...one, online: false, online_version: 6 }));
  threads.forgetVersions();
  await threads.load();
  assert.deepEqual(threads.known.filter((id) => threads.get(id).online), []);
});
