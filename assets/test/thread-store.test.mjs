// The console's list: an older state never replaces a newer one. Runs in Node, because the data needs no document.
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

const full = (rev, fields = {}) => ({
  id: 'a', display_name: 'Ali', status: 'active', unread_count: 0, waiting_since: null, last_message: 'one', last_message_id: 1, last_message_time: '2026-01-01T10:00:00.000Z',
  created_at: '2026-01-01T09:00:00.000Z', visitor_read_id: 0, visitor_received_id: 0, rev, ...fields,
});
const since = '2026-01-01T10:00:02.000Z';

async function loaded(first) {
  const threads = new ThreadStore();
  rows = [first];
  await threads.load();
  const is = (wanted) => {
    const one = threads.get('a');
    assert.deepEqual(Object.fromEntries(Object.keys(wanted).map((name) => [name, one[name]])), wanted);
  };
  return { threads, is };
}

test('events and answers that are older than what is known change nothing', async () => {
  const { threads, is } = await loaded(full(5));
  threads.updated(full(8, { status: 'closed', display_name: 'Veli' }));
  threads.updated(full(7, { status: 'active', unread_count: 3 })); // overtaken
  is({ status: 'closed', unread: 0, name: 'Veli' });
  await threads.load(); // answered before
  is({ status: 'closed', name: 'Veli' });
  threads.notified({ thread_id: 'a', display_name: 'Veli', status: 'active', unread_count: 1, waiting_since: since, rev: 10 }, { watched: false });
  threads.updated(full(9, { status: 'closed', display_name: 'Ece' })); // the answer before that message, sent by another process
  is({ status: 'active', unread: 1, name: 'Ece' });
  assert.equal(threads.get('a').waiting.toISOString(), since);
  threads.updated(full(11, { status: 'active', unread_count: 0 }));
  is({ unread: 0, waiting: null });
});

test('the last message is the one with the highest id', async () => {
  const { threads, is } = await loaded(full(5));
  threads.message({ id: 3, thread_id: 'a', sender_type: 'admin', content_text: 'three', content_type: 'text', created_at: since });
  await threads.load(); // answered before
  threads.updated(full(6)); // of a change before
  is({ last: 'three', lastID: 3 });
  threads.message({ id: 2, thread_id: 'a', sender_type: 'visitor', content_text: 'two', content_type: 'text', created_at: since });
  is({ last: 'three', lastID: 3 });
  threads.updated(full(9, { last_message: '', last_message_id: 3 })); // emptied
  is({ last: '', messages: 0 });
});

test('a deleted conversation does not return by an old answer, and has new marks when it is created again', async () => {
  const { threads, is } = await loaded(full(5, { visitor_read_id: 7 }));
  threads.marked('a', 'readByVisitor', 9, 4); // of an earlier state
  is({ readByVisitor: 7 });
  threads.marked('a', 'readByVisitor', 9, 6);
  threads.updated(full(6, { visitor_read_id: 8 }));
  is({ readByVisitor: 9 });
  threads.updated(full(20, { created_at: '2026-01-01T11:00:00.000Z' }));
  is({ readByVisitor: 0 });
  threads.remove('a', 21);
  await threads.load();
  assert.equal(threads.get('a'), undefined);
  rows = [full(22)];
  await threads.load();
  is({ rev: 22 });
});
