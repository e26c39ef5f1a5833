// The agents' console: creates its parts and connects their events.
import { block, copies, finish, whyNot } from './console/acts.js';
import { alerts } from './console/alerts.js';
import { cannedManager } from './console/canned-manager.js';
import { Canned, cannedPopup } from './console/canned.js';
import { confirm } from './console/confirm.js';
import { loadFacts } from './console/facts.js';
import { filters } from './console/filters.js';
import { head } from './console/head.js';
import { keys } from './console/keys.js';
import { List } from './console/list.js';
import { menu } from './lib/menu.js';
import { modes } from './console/modes.js';
import { Notes } from './console/notes.js';
import { facts, factsInFront, narrow, wide } from './console/panes.js';
import { removal } from './console/removal.js';
import { Room } from './console/room.js';
import { Session } from './console/session.js';
import { storage } from './console/storage.js';
import { team } from './console/team.js';
import { Threads } from './console/threads.js';
import { Undelivered } from './console/undelivered.js';
import { post } from './lib/api.js';
import { badge } from './lib/badge.js';
import { byId } from './lib/dom.js';
import { t } from './lib/i18n.js';
import { Connection, Refused } from './lib/connection.js';
import { Outbox } from './lib/outbox.js';
import { BrowserStorage } from './lib/browser-storage.js';
import { parse } from './lib/time.js';
import { TypingIn } from './lib/typing.js';

/** Drafts and the open conversation belong to this window; unsent messages and preferences must outlive it. */
const drafts = new BrowserStorage('sessionStorage', 'sohbet.console.');
const store = new BrowserStorage('localStorage', 'sohbet.console.');

const session = new Session();
const threads = new Threads();
const connection = new Connection(greet, (timeout) => connection.request('admin_join', undefined, timeout));
const outbox = new Outbox(store, send);
const undelivered = new Undelivered((id, mark) => room.messageList.putBelow(id, mark));
const room = new Room({ threads, connection, outbox, drafts, session, taken: ({ id }) => undelivered.show(id) });
const list = new List(threads, (id) => room.open(id, { focus: true }));
const visitors = new TypingIn((id, who) => {
  list.typing(id, who !== null);
  if (id === room.current) drawHead();
});
const drawHead = head(room, visitors);
const parts = { room, threads, connection, session };

// --- error messages ----------------------------------------------------------

let sayTimer = 0;
/** Shows an error above the conversation, or above the list if only that is visible. */
function say(text) {
  clearTimeout(sayTimer);
  const inList = narrow() && !room.current;
  for (const [id, here] of [['problem', !inList], ['list-problem', inList]]) {
    byId(id).textContent = here ? text : '';
    byId(id).hidden = !here || !text;
  }
  if (text) sayTimer = setTimeout(() => say(''), 10_000);
}
const failed = (error) => say(whyNot(session, error, 'console.block_failed'));

// --- the connection ----------------------------------------------------------

const showTeam = team(connection, failed);
const showStorage = storage(connection);
const canned = new Canned();
const notes = new Notes(room, connection, failed);

async function greet() {
  const { team: now, away, storage: disk, build } = await connection.request('admin_join');
  if (build && !import.meta.url.includes(build)) import('./lib/renew.js').then(({ renew }) => renew(build, () => !outbox.waiting), () => { /* tried again at the next connect */ });
  session.set(false);
  showTeam(now ?? { away });
  showStorage(disk);
  tellPresence();
  outbox.reload();
  await threads.load();
  canned.load().catch(() => { /* loaded again when they are used */ });
  undelivered.load().catch(() => { /* loaded at the next connect */ });
}

async function send(item) {
  if (!connection.online) throw new Refused('offline');
  try {
    const answer = await connection.request('message', {
      thread_id: item.thread_id, content_text: item.text, content_type: item.type ?? 'text', client_id: item.client_id, ...(item.url && { file_url: item.url }),
    });
    return answer.message;
  } catch (error) {
    // The session has expired: the message waits until the agent has signed in again.
    if (error.code !== 'unauthorized') throw error;
    session.set(true);
    throw new Refused('offline');
  }
}

/** The server sends push notifications only while no agent has a visible console. */
function tellPresence() { connection.emit('presence', { visible: !document.hidden }); }

async function entered() {
  await room.enter();
  if (!room.thread) return;
  notes.load().catch(() => { /* loaded at the next connect */ });
  loadFacts(connection, room.thread, openEarlier).then((facts) => {
    if (facts && room.current) threads.patch(room.current, { email: facts.email ?? '', phone: facts.phone_number ?? '' });
    drawHead();
  }, () => { /* the list has most of the details */ });
}

connection.addEventListener('ready', async () => {
  outbox.flush();
  await entered();
  room.tellRead();
});
connection.addEventListener('refused', ({ detail: error }) => session.failed(error));
for (const event of ['message_error', 'error']) {
  connection.on(event, (problem) => { if (problem?.type === 'unauthorized' || problem?.code === 'unauthorized') session.check(); });
}
session.addEventListener('ended', () => room.composer.keep());
session.addEventListener('back', () => { if (!connection.online) connection.restart(); });
document.addEventListener('visibilitychange', () => {
  tellPresence();
  if (document.hidden) return;
  if (session.ended) session.check();
  else if (connection.online) threads.load();
});

// --- events ------------------------------------------------------------------

// Each message is sent under its current and its older event name; this drops the second one.
const recent = new Set();
function isNew(message) {
  if (recent.has(message.id)) return false;
  recent.add(message.id);
  if (recent.size > 500) recent.delete(recent.values().next().value);
  return true;
}

function receive(message) {
  if (!isNew(message)) return;
  const id = message.thread_id;
  const open = id === room.current;
  if (open) room.messageList.add([message], { lively: true });
  if (message.client_id) outbox.acknowledge(message.client_id, message);
  const watched = open && room.messageList.watched;
  const unknown = !threads.get(id);
  threads.message(message, { watched });
  if (message.sender_type === 'visitor') {
    visitors.update(id, false);
    deleting.keep(id);
    room.received(message);
    tellAgent(message, room.name(id), watched);
  }
  if (unknown) refreshSoon();
}

for (const event of ['message', 'message_from_visitor', 'message_from_telegram', 'message_from_admin']) connection.on(event, receive);
connection.on('new_message_notification', ({ thread_id: id, display_name: who }) => { if (who) threads.patch(id, { name: who }, { add: true }); });
// A conversation enters the list with its first message; before that, thread_created only means that a visitor opened the page.
for (const [event, online] of [['visitor_online', true], ['user_online', true], ['user_offline', false]]) {
  connection.on(event, ({ thread_id: id, display_name: who, last_seen: seen }) => {
    threads.patch(id, { online, ...(who && { name: who }), seen: parse(seen) ?? new Date() });
  });
}
connection.on('typing', ({ thread_id: id, sender_type: from, typing: on = true }) => { if (from === 'visitor') visitors.update(id, on); });
connection.on('read', ({ thread_id: id, last_id: last, reader }) => threads.patch(id, reader === 'visitor' ? { readByVisitor: Number(last) } : { unread: 0 }));
connection.on('delivered', ({ thread_id: id, last_id: last, by }) => { if (by === 'visitor') threads.patch(id, { receivedByVisitor: Number(last) }); });
// The retention period of some messages has ended.
connection.on('messages_deleted', ({ thread_id: id, ids = [] }) => {
  if (id === room.current) room.messageList.drop(ids);
  refreshSoon();
});
connection.on('thread_updated', (told) => threads.updated(told));
connection.on('message_reaction', (message) => { if (message.thread_id === room.current) room.messageList.edit(message); });
connection.on('message_edited', (message) => {
  if (message.thread_id === room.current) room.messageList.edit(message);
  refreshSoon(); // the list may show it as the last message
});
// A conversation was emptied (`kept`) or deleted, here or by another agent; without an id, all were deleted.
connection.on('thread_cleared', ({ thread_id: id, kept }) => {
  if (!id) {
    clearedAll();
    return;
  }
  if (kept) {
    room.emptied(id);
    return;
  }
  deleting.forget(id);
  room.forget(id);
});
connection.on('message_undelivered', (row) => undelivered.take(row));
connection.on('channel_state', (state) => undelivered.channel(state));
connection.on('canned_changed', () => canned.load().catch(() => { /* loaded at the next connect */ }));
outbox.addEventListener('sent', ({ detail: { item, message } }) => {
  if (!message || !isNew(message)) return;
  if (item.thread_id === room.current) room.messageList.add([message]);
  threads.message(message, { watched: true });
});

let refreshTimer = 0;
function refreshSoon() {
  clearTimeout(refreshTimer);
  refreshTimer = setTimeout(() => threads.load(), 400);
}

function clearedAll() {
  for (const item of outbox.items) outbox.drop(item.client_id);
  if (room.current) room.close();
  threads.clear();
  threads.load();
}

threads.addEventListener('change', () => {
  drawHead();
  badge(threads.unread);
  if (threads.state === 'failed') session.failed(threads.error);
});

// --- the open conversation ---------------------------------------------------

const manageCanned = cannedManager(canned, session);
const popup = cannedPopup(canned, { name: () => room.name(), manage: manageCanned });
const writing = modes(room, connection, (note) => notes.add(note));
const tellAgent = alerts(store, threads, (id) => room.open(id, { focus: true }), say);
const takeCopy = copies(parts);

room.addEventListener('turn', () => {
  list.current = room.current;
  list.draw();
  popup.close();
  say('');
  drawHead();
  writing.label();
  if (connection.online) entered(); // otherwise done after the next connect
});

function openEarlier(row) {
  threads.know({ ...row, display_name: room.thread?.name, phone_number: room.thread?.phone });
  room.open(row.id, { focus: true });
}

const deleting = removal({
  name: (id) => room.name(id),
  hide: (id) => {
    const next = list.beside(id, 1) ?? list.beside(id, -1);
    threads.hide(id, true);
    if (id === room.current) room.close();
    list.focus(next);
  },
  bring: (id) => { threads.hide(id, false); },
  gone: (id) => room.forget(id),
  why: (error) => whyNot(session, error, 'console.clear_failed'),
});

function undo() {
  const id = deleting.undoLast();
  if (id) room.open(id, { focus: true });
}

/** Shows the visitor pane in front if it is not next to the conversation, and moves the focus into it. */
function showFactsPane(on) {
  if (wide()) {
    byId('facts').focus();
    return;
  }
  facts(on);
  if (on) byId('facts-close').focus(); else byId('facts-open').focus();
}

function leave() {
  const id = room.current;
  if (narrow() && history.state?.talk) history.back();
  else if (narrow()) { room.close(); list.focus(id); } else list.focus(id);
}

function go(id) {
  if (!id) return;
  room.open(id, { focus: false });
  list.reveal(id);
  if (document.activeElement === document.body || !document.activeElement?.getClientRects().length) byId('scroller').focus({ preventScroll: true });
}

const search = filters(threads, list);
const whenOpen = (act) => () => { if (room.current) act(); };
const openSheet = keys({
  w: () => go(threads.nextWaiting(room.current)?.id),
  j: () => go(list.beside(room.current, 1)),
  k: () => go(list.beside(room.current, -1)),
  '/': () => search.focus(),
  r: whenOpen(() => writing.turnTo('reply', { focus: true })),
  n: whenOpen(() => writing.turnTo('note', { focus: true })),
  e: whenOpen(() => finish(parts, say)),
  i: whenOpen(() => showFactsPane(!factsInFront())),
  b: whenOpen(() => block(parts)),
  x: whenOpen(takeCopy),
  Delete: whenOpen(() => deleting.remove(room.current)),
  z: undo,
}, store);

/** Ignores the second click of a double click on a toggle button. */
function once(act) {
  let until = 0;
  return async () => {
    if (performance.now() < until) return;
    until = Infinity;
    await act();
    until = performance.now() + 500;
  };
}

for (const [id, act] of Object.entries({
  finish: once(() => finish(parts, say)), reopen: () => finish(parts, say), block: () => block(parts), unblock: () => block(parts), export: takeCopy,
  clear: () => deleting.remove(room.current), back: leave, 'facts-open': once(() => showFactsPane(!factsInFront())), 'facts-close': () => showFactsPane(false),
  'canned-open': manageCanned, 'keys-open': openSheet, 'clear-all': clearAll, 'settings-open': () => byId('settings-dialog').showModal(),
})) byId(id).addEventListener('click', act);
menu(byId('menu'));
menu(byId('talk-menu'));

async function clearAll() {
  byId('settings-dialog').close();
  const done = await confirm({
    title: t('console.clear_all_title'), text: t('console.clear_all_text'), yes: t('console.clear_all_yes'), word: t('console.clear_all_word'),
    act: () => post('api/messages/clear_all'), problem: (error) => whyNot(session, error, 'console.clear_failed'),
  });
  if (done) clearedAll();
}

window.addEventListener('popstate', () => {
  if (!room.current || !narrow()) return;
  const id = room.current;
  room.close();
  list.focus(id);
});
document.addEventListener('keydown', (event) => {
  if (event.key !== 'Escape' || event.isComposing || event.target.closest?.('dialog')) return;
  if (factsInFront()) showFactsPane(false);
  else if (room.current) leave();
});

// --- start -------------------------------------------------------------------

// Reopens the conversation that was open before a reload or a new sign-in.
threads.addEventListener('change', function resume() {
  if (threads.state !== 'ready') return;
  threads.removeEventListener('change', resume);
  const last = drafts.get('open');
  if (last && threads.get(last) && !room.current && !narrow()) room.open(last);
});
threads.load();
connection.start();
