// The agents' console: creates its parts and connects their events.
import { block, errorText, exportDialog, toggleClosed } from './console/thread-actions.js';
import { alerts } from './console/alerts.js';
import { assigning } from './console/assigning.js';
import { cannedRepliesDialog } from './console/canned-replies-dialog.js';
import { CannedReplies, cannedPopup } from './console/canned-replies.js';
import { confirm } from './console/confirm-dialog.js';
import { loadDetails } from './console/visitor-details.js';
import { listFilters } from './console/list-filters.js';
import { threadHeader } from './console/thread-header.js';
import { jobProgress } from './console/job-progress.js';
import { keyboardShortcuts } from './console/keyboard-shortcuts.js';
import { ThreadList } from './console/thread-list.js';
import { handOver } from './console/hand-over.js';
import { Mentions } from './console/mentions.js';
import { menu } from './lib/menu.js';
import { composerModes } from './console/composer-modes.js';
import { Notes } from './console/team-notes.js';
import { detailsInFront, narrow, showDetailsPane, wide } from './console/panes.js';
import { undoableDelete } from './console/undo-delete.js';
import { OpenThread } from './console/open-thread.js';
import { Session } from './console/session.js';
import { diskStatus } from './console/disk-status.js';
import { idleness } from './console/idle.js';
import { Teammates } from './console/teammates.js';
import { together } from './console/together.js';
import { teamSwitch } from './console/team-status-switch.js';
import { ThreadStore } from './console/thread-store.js';
import { Undelivered } from './console/telegram-undelivered.js';
import { post } from './lib/api.js';
import { badge } from './lib/unread-badge.js';
import { byId } from './lib/dom.js';
import { t } from './lib/i18n.js';
import { Connection, Refused } from './lib/connection.js';
import { Outbox } from './lib/outbox.js';
import { BrowserStorage } from './lib/browser-storage.js';
import { parse } from './lib/format-time.js';
import { TypingIn } from './lib/typing.js';
/** @import { Item, Stored } from './lib/outbox.js' */

/** @typedef {{open: string} & Record<`draft.${string}` | `note.${string}`, string>} Drafts */
/** @typedef {Stored & {notify: boolean, sound: boolean, keys: boolean}} Kept */
/** @typedef {typeof parts} Parts */

/** Drafts and the open conversation belong to this window; unsent messages and preferences must outlive it. @type {BrowserStorage<Drafts>} */
const drafts = new BrowserStorage('sessionStorage', 'sohbet.console.');
/** @type {BrowserStorage<Kept>} */
const store = new BrowserStorage('localStorage', 'sohbet.console.');

const session = new Session();
const threads = new ThreadStore(() => session.me?.id);
const connection = new Connection(greet, (timeout) => connection.request('admin_join', undefined, timeout));
const outbox = new Outbox(store, send);
const undelivered = new Undelivered((id, mark) => openThread.messageList.putBelow(id, mark));
const openThread = new OpenThread({ threads, connection, outbox, drafts, session, taken: ({ id }) => undelivered.show(id) });
const teammates = new Teammates(connection, () => session.me?.id);
const list = new ThreadList(threads, teammates, (id) => mentions.has(id), (id) => openThread.open(id, { focus: true }));
const visitors = new TypingIn((id, who) => {
  list.typing(id, who !== null);
  if (id === openThread.current) drawHeader();
});
const drawHeader = threadHeader(openThread, visitors);
const parts = { openThread, threads, connection, session, teammates };
const answering = together(openThread, teammates, () => session.me?.id);
const input = idleness(sendPresence);

// --- error messages ----------------------------------------------------------

let sayTimer = 0;
/** Shows an error above the conversation, or above the list if only that is visible. @param {string} text */
function say(text) {
  clearTimeout(sayTimer);
  const inList = narrow() && !openThread.current;
  for (const [id, here] of /** @type {const} */ ([['problem', !inList], ['list-problem', inList]])) {
    byId(id).textContent = here ? text : '';
    byId(id).hidden = !here || !text;
  }
  if (text) sayTimer = setTimeout(() => say(''), 10_000);
}
const failed = (/** @type {unknown} */ error) => say(errorText(session, error, 'console.block_failed'));

// --- the connection ----------------------------------------------------------

const showTeam = teamSwitch(connection, teammates, failed);
const showDiskStatus = diskStatus(connection);
const showJobs = jobProgress(connection);
const canned = new CannedReplies();
const notes = new Notes(openThread, connection, failed);
const mentions = new Mentions({
  openThread, threads, connection, notes, me: () => session.me?.id, open: (id) => openThread.open(id, { focus: true }),
  alert: ({ kind, by, text, thread }, seen) => {
    const name = thread.display_name || t('console.nameless');
    alertAgent({ thread_id: thread.id, content_text: text, content_type: 'text' }, t(kind === 'mention' ? 'console.mentions_you' : 'console.gives_you', { by: by.name, name }), seen);
  },
});
mentions.addEventListener('change', () => list.draw());

async function greet() {
  threads.forgetVersions();
  teammates.reset();
  const { team: now, storage: disk, build, jobs, mentions: unseen, idle_seconds: idle } = await connection.request('admin_join');
  if (build && !import.meta.url.includes(build)) import('./lib/reload-after-update.js').then(({ renew }) => renew(build, () => !outbox.waiting), () => { /* tried again at the next connect */ });
  session.set(false);
  session.load().then(() => {
    openThread.messageList.me = session.me;
    teammates.dispatchEvent(new Event('team')); // which of them this is, is known now
  }).catch(() => { /* loaded at the next connect */ });
  showTeam(now);
  showDiskStatus(disk);
  showJobs(jobs);
  mentions.set(unseen);
  input.after(idle);
  sendPresence();
  outbox.reload();
  await threads.load();
  canned.load().catch(() => { /* loaded again when they are used */ });
  undelivered.load().catch(() => { /* loaded at the next connect */ });
}

/** @param {Item} item */
async function send(item) {
  if (!connection.online) throw new Refused('offline');
  try {
    const answer = await connection.request('message', {
      thread_id: item.thread_id, content_text: item.text, content_type: item.type ?? 'text', client_id: item.client_id, ...(item.url && { file_url: item.url }),
    });
    return answer.message;
  } catch (error) {
    // The session has expired: the message waits until the agent has signed in again.
    if (/** @type {Failure} */ (error).code !== 'unauthorized') throw error;
    session.set(true);
    throw new Refused('offline');
  }
}

/** Agents with a visible console get no push notifications, and the others see who is idle. */
function sendPresence() { connection.emit('presence', { visible: !document.hidden, idle: input.idle }); }

async function entered() {
  await openThread.enter();
  if (!openThread.thread) return;
  notes.load().catch(() => { /* loaded at the next connect */ });
  loadDetails(connection, openThread.thread, openEarlier).then((facts) => {
    if (facts && openThread.current) threads.patch(openThread.current, { email: facts.email, phone: facts.phone_number });
    drawHeader();
  }, () => { /* the list has most of the details */ });
}

connection.addEventListener('ready', async () => {
  outbox.flush();
  await entered();
  openThread.sendRead();
});
connection.addEventListener('refused', ({ detail: error }) => session.failed(error));
for (const event of /** @type {const} */ (['message_error', 'error'])) {
  connection.on(event, (failure) => { if (failure.type === 'unauthorized') session.check('reason' in failure ? failure.reason : undefined); });
}
session.addEventListener('ended', () => openThread.composer.keep());
session.addEventListener('back', () => { if (!connection.online) connection.restart(); });
document.addEventListener('visibilitychange', () => {
  sendPresence();
  if (document.hidden) return;
  if (session.ended) session.check();
  else if (connection.online) threads.load();
});

// --- events ------------------------------------------------------------------

// Each message is sent under its current and its older event name; this drops the second one.
/** @type {Set<number>} */
const recent = new Set();
/** @param {Protocol.Message} message */
function isNew(message) {
  if (recent.has(message.id)) return false;
  recent.add(message.id);
  if (recent.size > 500) recent.delete(/** @type {number} */ (recent.values().next().value));
  return true;
}

/** @param {Protocol.Message} message */
function receive(message) {
  if (!isNew(message)) return;
  const id = message.thread_id;
  const open = id === openThread.current;
  if (open) openThread.messageList.add([message], { lively: true });
  if (message.client_id) outbox.acknowledge(message.client_id, message);
  const watched = open && openThread.messageList.watched;
  const unknown = !threads.get(id);
  threads.message(message);
  answering.received(message);
  if (message.sender_type === 'visitor') {
    visitors.update(id, false);
    deleting.keep(id);
    openThread.received(message);
    const assignee = threads.get(id)?.assignee;
    if (!assignee || assignee.id === session.me?.id) alertAgent(message, openThread.name(id), watched);
  }
  if (unknown) refreshSoon();
}

for (const event of /** @type {const} */ (['message', 'message_from_visitor', 'message_from_telegram', 'message_from_admin'])) connection.on(event, receive);
connection.on('new_message_notification', (told) => threads.notified(told, { watched: told.thread_id === openThread.current && openThread.messageList.watched }));
// A conversation enters the list with its first message; before that, thread_created only means that a visitor opened the page.
for (const [event, online] of /** @type {const} */ ([['visitor_online', true], ['user_online', true], ['user_offline', false]])) {
  connection.on(event, ({ thread_id: id, display_name: who, last_seen: seen, online_version: version }) => {
    threads.presence(id, online, version, { ...(who && { name: who }), seen: parse(seen) ?? new Date() });
  });
}
connection.on('typing', ({ thread_id: id, sender_type: from, typing: on }) => { if (from === 'visitor') visitors.update(id, on); });
connection.on('read', ({ thread_id: id, last_id: last, reader, rev }) => { if (reader === 'visitor') threads.marked(id, 'readByVisitor', last, rev); });
connection.on('delivered', ({ thread_id: id, last_id: last, by, rev }) => { if (by === 'visitor') threads.marked(id, 'receivedByVisitor', last, rev); });
// The retention period of some messages has ended.
connection.on('messages_deleted', ({ thread_id: id, ids }) => {
  if (id === openThread.current) openThread.messageList.drop(ids);
  refreshSoon();
});
connection.on('thread_updated', (told) => threads.updated(told));
for (const event of /** @type {const} */ (['message_edited', 'message_reaction'])) {
  connection.on(event, (message) => { if (message.thread_id === openThread.current) openThread.messageList.edit(message); });
}
// A conversation was emptied (`kept`) or deleted, here or by another agent; without an id, all were deleted.
connection.on('thread_cleared', ({ thread_id: id, kept, last_id: last = 0, rev = 0, by }) => {
  const other = id === openThread.current && by?.id !== session.me?.id ? by : undefined;
  if (!id) clearedAll();
  else if (kept || rev && (threads.get(id)?.rev ?? 0) > rev) openThread.emptied(id, last); // or it was created again since
  else {
    deleting.forget(id);
    openThread.forget(id, rev);
  }
  if (other) say(t(kept ? 'console.emptied_by' : 'console.deleted_by', { name: other.name }));
});
connection.on('message_undelivered', (row) => undelivered.take(row));
connection.on('channel_state', (state) => undelivered.channel(state));
connection.on('canned_changed', () => canned.load().catch(() => { /* loaded at the next connect */ }));
outbox.addEventListener('sent', ({ detail: { item, message } }) => {
  if (!message || !isNew(message)) return;
  if (item.thread_id === openThread.current) openThread.messageList.add([message]);
  threads.message(message);
});

let refreshTimer = 0;
function refreshSoon() {
  clearTimeout(refreshTimer);
  refreshTimer = setTimeout(() => threads.load(), 400);
}

function clearedAll() {
  for (const item of outbox.items) outbox.drop(item.client_id);
  if (openThread.current) openThread.close();
  threads.clear();
  threads.load();
}

threads.addEventListener('change', () => {
  drawHeader();
  assign.draw();
  badge(threads.unread);
  if (threads.state === 'failed') session.failed(threads.error);
});

// --- the open conversation ---------------------------------------------------

const manageCanned = cannedRepliesDialog(canned, session);
const popup = cannedPopup(canned, {
  name: () => openThread.name(), manage: manageCanned, agents: (query) => (writing.mode === 'note' ? teammates.suggested(query) : []),
});
const writing = composerModes(openThread, connection, (note) => notes.add(note));
const alertAgent = alerts(store, threads, (id) => openThread.open(id, { focus: true }), say);
const openExport = exportDialog(parts);

openThread.addEventListener('turn', () => {
  list.current = openThread.current;
  list.draw();
  popup.close();
  say('');
  drawHeader();
  assign.draw();
  writing.label();
  if (connection.online) entered(); // otherwise done after the next connect
});

/** @param {Protocol.EarlierThread} row */
function openEarlier(row) {
  threads.know({ ...row, display_name: openThread.thread?.name, phone_number: openThread.thread?.phone });
  openThread.open(row.id, { focus: true });
}

const deleting = undoableDelete({
  name: (id) => openThread.name(id),
  hide: (id) => {
    const next = list.adjacent(id, 1) ?? list.adjacent(id, -1);
    threads.hide(id, true);
    if (id === openThread.current) openThread.close();
    list.focus(next);
  },
  bring: (id) => { threads.hide(id, false); },
  gone: (id) => openThread.forget(id),
  why: (error) => errorText(session, error, 'console.clear_failed'),
});

function undo() {
  const id = deleting.undoLast();
  if (id) openThread.open(id, { focus: true });
}

/** Shows the visitor pane in front if it is not next to the conversation, and moves the focus into it. @param {boolean} on */
function focusDetailsPane(on) {
  if (wide()) {
    byId('facts').focus();
    return;
  }
  showDetailsPane(on);
  if (on) byId('facts-close').focus(); else byId('facts-open').focus();
}

function leave() {
  const id = openThread.current;
  if (narrow() && history.state?.talk) history.back();
  else if (narrow()) { openThread.close(); list.focus(id); } else list.focus(id);
}

/** @param {string | null | undefined} id */
function go(id) {
  if (!id) return;
  openThread.open(id, { focus: false });
  list.reveal(id);
  if (document.activeElement === document.body || !document.activeElement?.getClientRects().length) byId('scroller').focus({ preventScroll: true });
}

const assign = assigning(parts, say, handOver(parts));
const search = listFilters(threads, list);
const whenOpen = (/** @type {(id: string) => void} */ act) => () => { if (openThread.current) act(openThread.current); };
const openSheet = keyboardShortcuts({
  w: () => go(threads.nextWaiting(openThread.current)?.id),
  j: () => go(list.adjacent(openThread.current, 1)),
  k: () => go(list.adjacent(openThread.current, -1)),
  '/': () => search.focus(),
  r: whenOpen(() => writing.turnTo('reply', { focus: true })),
  n: whenOpen(() => writing.turnTo('note', { focus: true })),
  e: whenOpen(() => toggleClosed(parts, say)),
  t: whenOpen(() => assign.take()),
  i: whenOpen(() => focusDetailsPane(!detailsInFront())),
  b: whenOpen(() => block(parts)),
  x: whenOpen(openExport),
  Delete: whenOpen((id) => deleting.remove(id)),
  z: undo,
}, store);

/** Ignores the second click of a double click on a toggle button. @param {() => unknown} act */
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
  finish: once(() => toggleClosed(parts, say)), reopen: () => toggleClosed(parts, say), block: () => block(parts), unblock: () => block(parts), export: openExport,
  clear: whenOpen((id) => deleting.remove(id)), back: leave, 'facts-open': once(() => focusDetailsPane(!detailsInFront())), 'facts-close': () => focusDetailsPane(false),
  'canned-open': manageCanned, 'keys-open': openSheet, 'clear-all': clearAll, 'settings-open': () => byId('settings-dialog').showModal(),
})) byId(id).addEventListener('click', act);
menu(byId('menu'));
menu(byId('talk-menu'));
menu(byId('assignee'));

async function clearAll() {
  byId('settings-dialog').close();
  const done = await confirm({
    title: t('console.clear_all_title'), text: t('console.clear_all_text'), yes: t('console.clear_all_yes'), word: t('console.clear_all_word'),
    act: () => post('api/messages/clear_all?job=1'), problem: (error) => errorText(session, error, 'console.clear_failed'),
  });
  if (done) clearedAll();
}

window.addEventListener('popstate', () => {
  if (!openThread.current || !narrow()) return;
  const id = openThread.current;
  openThread.close();
  list.focus(id);
});
document.addEventListener('keydown', (event) => {
  if (event.key !== 'Escape' || event.isComposing || /** @type {Element} */ (event.target).closest?.('dialog')) return;
  if (detailsInFront()) focusDetailsPane(false);
  else if (openThread.current) leave();
});

// --- start -------------------------------------------------------------------

// Reopens the conversation that was open before a reload or a new sign-in.
threads.addEventListener('change', function resume() {
  if (threads.state !== 'ready') return;
  threads.removeEventListener('change', resume);
  const last = drafts.get('open');
  if (last && threads.get(last) && !openThread.current && !narrow()) openThread.open(last);
});
threads.load();
connection.start();
