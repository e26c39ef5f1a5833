// The agents' console: the list, one open conversation, what is known about the visitor.
import { confirm } from './console/confirm.js';
import { showFacts } from './console/facts.js';
import { List } from './console/list.js';
import { Threads } from './console/threads.js';
import { get, post } from './lib/api.js';
import { connectionBar } from './lib/bar.js';
import { Composer } from './lib/composer.js';
import { byId, face } from './lib/dom.js';
import { t } from './lib/i18n.js';
import { Live, Refused } from './lib/live.js';
import { Outbox } from './lib/outbox.js';
import { Past } from './lib/past.js';
import { Store } from './lib/store.js';
import { Talk } from './lib/talk.js';
import { ago, parse } from './lib/time.js';
import { TypingIn, TypingOut } from './lib/typing.js';
import { sendAll } from './lib/upload.js';

const title = document.title;

/** Drafts and the open conversation belong to this window; messages on their way must outlive it. */
const session = new Store('sessionStorage', 'sohbet.console.');
const store = new Store('localStorage', 'sohbet.console.');

/** The open conversation's id, or null. It never enters the URL. */
let current = null;
let expired = false;
const readSent = new Map();

const threads = new Threads();
const live = new Live(greet, (timeout) => live.ask('admin_join', undefined, timeout));
const outbox = new Outbox(store, send);
const list = new List(threads, (id) => open(id, { focus: true }));
const talk = new Talk({ own: ['admin', 'telegram'], face: () => face(name(current)), outbox });
const past = new Past(live, talk, take);
const typing = new TypingOut((on) => { if (current) live.tell('typing', { thread_id: current, typing: on }); });
const visitors = new TypingIn((id, who) => {
  list.typing(id, who !== null);
  if (id === current) showHead();
});
const composer = new Composer({
  send: async (text, attachments) => {
    await sendAll(outbox, current, text, attachments);
    talk.toEnd();
    outbox.flush();
  },
  typing: () => typing.touch(),
  stopped: () => typing.stop(),
  save: (text) => { if (current) text ? session.set(`draft.${current}`, text) : session.remove(`draft.${current}`); },
});
connectionBar(live, outbox);

const name = (id) => threads.get(id)?.name || t('console.nameless');

// --- the connection ----------------------------------------------------------

async function greet() {
  await live.ask('admin_join');
  setExpired(false);
  outbox.reload();
  await threads.load();
}

/** Starts to watch a conversation and gets what is missing of it. */
async function enter(id) {
  try {
    await live.ask('join_thread', { thread_id: id });
    if (id === current) await past.catchUp();
  } catch (error) {
    if (error.code === 'unauthorized') checkSession();
    if (error.code === 'not_found') gone(id);
  }
}

async function send(item) {
  if (!live.online) throw new Refused('offline');
  try {
    const answer = await live.ask('message', {
      thread_id: item.thread_id, content_text: item.text, content_type: item.type ?? 'text', client_id: item.client_id, ...(item.url && { file_url: item.url }),
    });
    return answer.message;
  } catch (error) {
    // The message is fine, the session is not: it waits until somebody has signed in again.
    if (error.code !== 'unauthorized') throw error;
    setExpired(true);
    throw new Refused('offline');
  }
}

function take(messages) {
  talk.add(messages);
  for (const message of messages) if (message.client_id) outbox.settle(message.client_id, message);
  talk.read(threads.get(current)?.readByVisitor ?? 0);
}

live.addEventListener('ready', async () => {
  outbox.flush();
  if (current) await enter(current);
  tellRead();
});
live.addEventListener('refused', ({ detail: error }) => { if (error.code === 'unauthorized') setExpired(true); });
for (const event of ['message_error', 'error']) {
  live.on(event, (problem) => { if (problem?.type === 'unauthorized' || problem?.code === 'unauthorized') checkSession(); });
}

// A message comes under its new and its older name; the id tells that it is one.
const recent = new Set();
function receive(message) {
  if (recent.has(message.id)) return;
  recent.add(message.id);
  if (recent.size > 500) recent.delete(recent.values().next().value);
  const open = message.thread_id === current;
  if (open) talk.add([message], { lively: true });
  if (message.client_id) outbox.settle(message.client_id, message);
  if (message.sender_type === 'visitor') visitors.hear(message.thread_id, false);
  const unknown = !threads.get(message.thread_id);
  threads.message(message, { watched: open && talk.watched });
  if (unknown) refreshSoon();
}

for (const event of ['message', 'message_from_visitor', 'message_from_telegram', 'message_from_admin']) live.on(event, receive);
live.on('new_message_notification', ({ thread_id: id, display_name: who }) => { if (who) threads.patch(id, { name: who }, { add: true }); });
// A conversation comes into the list with its first message; thread_created alone is somebody who looks at the page.
for (const [event, online] of [['visitor_online', true], ['user_online', true], ['user_offline', false]]) {
  live.on(event, ({ thread_id: id, display_name: who, last_seen: seen }) => {
    threads.patch(id, { online, ...(who && { name: who }), seen: parse(seen) ?? new Date() });
  });
}
live.on('typing', ({ thread_id: id, sender_type: from, typing: on = true }) => { if (from === 'visitor') visitors.hear(id, on); });
live.on('read', ({ thread_id: id, last_id: lastID, reader }) => {
  if (reader === 'visitor') {
    threads.patch(id, { readByVisitor: Number(lastID) });
    if (id === current) talk.read(Number(lastID));
  } else {
    threads.patch(id, { unread: 0 });
  }
});

// Some messages were kept long enough.
live.on('messages_deleted', ({ thread_id: id, ids = [] }) => {
  if (id === current) talk.drop(ids);
  refreshSoon();
});
live.on('thread_updated', ({ id, blocked, status }) => {
  threads.patch(id, { ...(typeof blocked === 'boolean' && { blocked }), ...(status && { status }) });
});
live.on('message_edited', (message) => { if (message.thread_id === current) talk.edit(message); });
// Deleted here or by another agent; without an id, all of them.
live.on('thread_cleared', ({ thread_id: id }) => {
  if (id) gone(id);
  else clearedAll();
});

let refreshTimer = 0;
function refreshSoon() {
  clearTimeout(refreshTimer);
  refreshTimer = setTimeout(() => threads.load(), 400);
}

// --- the session -------------------------------------------------------------

async function checkSession() {
  try {
    await get('/api/threads?limit=1');
    if (expired) live.restart();
    setExpired(false);
  } catch (error) {
    if (error.status === 401) setExpired(true);
  }
}

function setExpired(on) {
  if (on === expired) return;
  expired = on;
  byId('expired').hidden = !on;
  if (on) composer.keep();
}

document.addEventListener('visibilitychange', () => {
  if (document.hidden) return;
  if (expired) checkSession();
  else if (live.online) threads.load();
});

// --- one conversation --------------------------------------------------------

function open(id, { focus = false } = {}) {
  if (id !== current) {
    composer.keep();
    typing.stop();
    if (current) live.tell('leave_thread', { thread_id: current });
    current = id;
    session.set('open', id);
    list.current = id;
    talk.reset();
    past.turnTo(id);
    composer.fill(session.get(`draft.${id}`));
    for (const item of outbox.items) if (item.thread_id === id) talk.pending(item, item.failed ? 'failed' : 'waiting');
  }
  byId('nobody').hidden = true;
  byId('talk-head').hidden = false;
  byId('conversation').hidden = false;
  show('talk');
  showHead();
  list.draw();
  if (focus) { if (matchMedia('(hover: hover)').matches) composer.focus(); else byId('head-name').focus(); }
  if (live.online) enter(id); // else the next connect does
}

function close() {
  composer.keep();
  typing.stop();
  if (current) live.tell('leave_thread', { thread_id: current });
  current = null;
  list.current = null;
  session.remove('open');
  talk.reset();
  past.turnTo(null);
  byId('nobody').hidden = false;
  byId('talk-head').hidden = true;
  byId('conversation').hidden = true;
  showFacts(null);
  show('list');
  list.draw();
}

/** The conversation was deleted, here or by somebody else. */
function gone(id) {
  session.remove(`draft.${id}`);
  for (const item of outbox.items) if (item.thread_id === id) outbox.drop(item.client_id);
  threads.remove(id);
  if (id === current) close();
}

function clearedAll() {
  for (const item of outbox.items) outbox.drop(item.client_id);
  if (current) close();
  threads.clear();
  threads.load();
}

function showHead() {
  const thread = threads.get(current);
  if (!current || !thread) return;
  const who = name(current);
  byId('head-name').textContent = who;
  byId('head-face').replaceChildren(face(who));
  composer.label(t('console.write_to', { name: who }));
  const busy = visitors.has(current);
  byId('block').setAttribute('aria-pressed', String(thread.blocked));
  byId('block').title = t(thread.blocked ? 'console.unblock' : 'console.block');
  byId('block').setAttribute('aria-label', byId('block').title);
  byId('head-state').textContent = thread.blocked ? t('console.blocked') : busy ? t('console.typing') : thread.status === 'closed' ? t('console.closed') : thread.online ? t('console.online') : thread.seen ? t('console.seen', { time: ago(thread.seen) }) : t('console.offline');
  byId('head-state').classList.toggle('online', thread.online);
  const wasHidden = byId('typing').hidden;
  byId('typing').hidden = !busy;
  byId('typing-text').textContent = busy ? t('console.name_typing', { name: who }) : '';
  if (busy && wasHidden && talk.watched) talk.toEnd();
  showFacts(thread);
}

threads.addEventListener('change', () => {
  showHead();
  if (current) talk.read(threads.get(current)?.readByVisitor ?? 0);
  // A list that was asked for before the last reading may still count what is in view here.
  if (talk.watched && talk.size && threads.get(current)?.unread) threads.patch(current, { unread: 0 });
  document.title = threads.unread ? `(${threads.unread}) ${title}` : title;
  if (threads.state === 'failed' && threads.error.status === 401) setExpired(true);
});

outbox.addEventListener('change', ({ detail: { item, state, code } }) => {
  if (item.thread_id !== current) return;
  if (state === 'gone') talk.remove(item.client_id);
  else talk.pending(item, state, code);
});
outbox.addEventListener('progress', ({ detail: { item, share } }) => talk.uploading(item.client_id, share));
outbox.addEventListener('sent', ({ detail: { item, message } }) => {
  if (!message || recent.has(message.id)) return;
  recent.add(message.id);
  if (item.thread_id === current) talk.add([message]);
  threads.message(message, { watched: true });
});

talk.addEventListener('seen', tellRead);

/** Tells the visitor how far we have read; what could not be told is told after the next connect. */
function tellRead() {
  const id = current;
  const last = talk.lastTheirs;
  if (!id || !live.online || !talk.watched) return;
  if (threads.get(id)?.unread) threads.patch(id, { unread: 0 });
  if (last <= (readSent.get(id) ?? 0)) return;
  readSent.set(id, last);
  live.ask('read', { thread_id: id, last_id: last }).catch(() => readSent.delete(id));
}

// --- panes, search, deleting -------------------------------------------------

const narrow = matchMedia('(max-width: 49.99rem)');

/** Below two panes one is shown at a time; the phone's own "back" returns to the list. */
function show(view) {
  const desk = byId('desk');
  if (view === 'talk' && desk.dataset.view !== 'talk' && narrow.matches) history.pushState({ talk: true }, '');
  desk.dataset.view = view;
}

window.addEventListener('popstate', () => {
  if (!current || !narrow.matches) return;
  const id = current;
  close();
  list.focus(id);
});
byId('back').addEventListener('click', () => {
  if (history.state?.talk) history.back();
  else close();
});

let searchTimer = 0;
byId('search').addEventListener('input', (event) => {
  clearTimeout(searchTimer);
  searchTimer = setTimeout(() => threads.load(event.target.value.trim()), 200);
});

document.addEventListener('keydown', (event) => {
  const writing = event.target.closest?.('input, textarea, dialog');
  if (event.key === '/' && !writing && !event.ctrlKey && !event.metaKey) {
    event.preventDefault();
    byId('search').focus();
  }
  if (event.key === 'Escape' && current && !event.target.closest?.('dialog, .menu') && !event.isComposing) {
    const id = current;
    if (narrow.matches && history.state?.talk) history.back();
    else { close(); list.focus(id); }
  }
});

const menu = byId('menu');
document.addEventListener('click', (event) => { if (!menu.contains(event.target)) menu.open = false; });
menu.addEventListener('keydown', (event) => {
  if (event.key !== 'Escape') return;
  menu.open = false;
  menu.querySelector('summary').focus();
});

function whyNotBlocked(error) {
  return error.status === 401 ? whyNot(error) : t('console.block_failed');
}

function whyNot(error) {
  if (error.status === 401) {
    setExpired(true);
    return t('console.expired');
  }
  return t(error.code === 'network' ? 'console.list_offline' : 'console.clear_failed');
}

byId('clear').addEventListener('click', async () => {
  const id = current;
  const done = await confirm({
    title: t('console.clear_title', { name: name(id) }), text: t('console.clear_text'), yes: t('console.clear_yes'),
    act: () => post('/api/messages/clear', { thread_id: id }), problem: whyNot,
  });
  if (!done) return;
  gone(id);
  list.focus(id);
});

byId('block').addEventListener('click', async () => {
  const id = current;
  const on = !threads.get(id)?.blocked;
  const done = await confirm(on ? {
    title: t('console.block_title', { name: name(id) }), text: t('console.block_text'), yes: t('console.block'), option: t('console.block_address'),
    act: (address) => post('/api/threads/block', { thread_id: id, address }), problem: whyNotBlocked,
  } : {
    title: t('console.unblock_title', { name: name(id) }), text: t('console.unblock_text'), yes: t('console.unblock'),
    act: () => post('/api/threads/unblock', { thread_id: id }), problem: whyNotBlocked,
  });
  if (done) threads.patch(id, { blocked: on });
});

byId('clear-all').addEventListener('click', async () => {
  menu.open = false;
  const done = await confirm({
    title: t('console.clear_all_title'), text: t('console.clear_all_text'), yes: t('console.clear_all_yes'),
    act: () => post('/api/messages/clear_all'), problem: whyNot,
  });
  if (done) clearedAll();
});

// --- start -------------------------------------------------------------------

// The conversation that was open before a reload or a new sign-in.
threads.addEventListener('change', function resume() {
  if (threads.state !== 'ready') return;
  threads.removeEventListener('change', resume);
  const last = session.get('open');
  if (last && threads.get(last) && !current && !narrow.matches) open(last);
});
threads.load();
live.start();
