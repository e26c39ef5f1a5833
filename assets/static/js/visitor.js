// The visitor's page: asks for a name, then shows the conversation, which survives reloads, lost networks and restarted servers.
import { Composer } from './lib/composer.js';
import { byId, make, showProblem } from './lib/dom.js';
import { host } from './lib/host-page.js';
import { lang, t } from './lib/i18n.js';
import { Connection, Refused } from './lib/connection.js';
import { menu } from './lib/menu.js';
import { Outbox } from './lib/outbox.js';
import { MessageHistory } from './lib/message-history.js';
import { BrowserStorage } from './lib/browser-storage.js';
import { MessageList } from './lib/message-list.js';
import { TypingIn, TypingOut } from './lib/typing.js';
import { connectionBar } from './lib/connection-bar.js';
import { PromptArea } from './visitor/prompt-area.js';
import { teamLine } from './visitor/team-status.js';
/** @import { Item, Stored } from './lib/outbox.js' */

const HEARTBEAT = 30_000;
/** Texts for the connection's states. @type {Lookup<string>} */
const TROUBLE = { connecting: 'state_connecting', offline: 'state_offline', refused: 'state_offline', missing: 'state_missing' };

/** @typedef {Stored & {visitor: Visitor, draft: string, sound: boolean, seen: number, named: boolean}} Kept */

/** @type {BrowserStorage<Kept>} */
const store = new BrowserStorage('localStorage', 'sohbet.');
let me = store.get('visitor');

const connection = new Connection(join, (timeout) => (me?.thread ? connection.request('heartbeat', { thread_id: me.thread }, timeout) : Promise.resolve()));
const outbox = new Outbox(store, send);
/** The face of the team, or of AGENT_AVATAR. */
const teamFace = /** @type {Element} */ (byId('team-face').firstElementChild);
const messageList = new MessageList({ own: ['visitor'], face: () => teamFace.cloneNode(true), outbox });
const messageHistory = new MessageHistory(connection, messageList, take);
const typing = new TypingOut((on) => { if (me?.thread) connection.emit('typing', { thread_id: me.thread, typing: on }); });
const typist = new TypingIn((_, name) => showTyping(name !== null));
const composer = new Composer({
  send: async (text, attachments) => {
    const thread = me?.thread ?? '';
    if (attachments.length) await (await import('./lib/upload.js')).sendAll(outbox, thread, text, attachments);
    else outbox.add(thread, text);
    messageList.toEnd();
    outbox.flush();
    // A message reopens a closed conversation, and starts a new one after a deleted one.
    Object.assign(situation, { closed: false, ended: false });
    promptArea.refresh();
  },
  typing: () => typing.touch(),
  stopped: () => typing.stop(),
  save: (text) => (text ? store.set('draft', text) : store.remove('draft')),
});
const bar = connectionBar(connection, outbox);

let readSent = 0;
let deliveredSent = 0;
const { agent } = byId('talk').dataset;
/** Shows agents by name and picture. @type {Promise<void | typeof import('./visitor/writers.js')> | undefined} */
let writers;
/** The team's state as last sent by the server. @type {Protocol.Team} */
let team = JSON.parse(/** @type {string} */ (byId('talk').dataset.team));
/** Exceptional states of this conversation; rating is the visitor's last one, 0 = none. */
const situation = { blocked: false, closed: false, ended: false, rating: 0 };
const promptArea = new PromptArea(() => {
  if (!me) return null;
  if (situation.blocked) return ['blocked', {}];
  if (situation.closed) {
    return ['closed', { score: situation.rating, rate: async (score, comment) => {
      await connection.request('rate', { thread_id: threadID(), score, ...(comment && { comment }) });
      situation.rating = score;
    } }];
  }
  if (situation.ended) return ['ended', {}];
  // Asked once, after the visitor's first message, if the team is away.
  if (!team.away || !me.thread || me.reach !== undefined || !messageList.lastOwn()) return null;
  const done = (/** @type {boolean} */ reach) => {
    if (me) remember({ ...me, reach });
    promptArea.refresh();
    composer.focus();
  };
  return ['away', {
    phone: me.phone ?? '', dismiss: () => done(false),
    contact: async (how) => {
      await connection.request('contact', { thread_id: threadID(), ...how });
      done(true);
    },
  }];
});

/** Shows who wrote the messages that were added; the code for it is loaded once an agent has written. @param {Protocol.Message[]} messages */
async function showWriters(messages) {
  if (messages.some((message) => message.agent)) store.set('named', true);
  if (!store.get('named')) return;
  writers ||= import('./visitor/writers.js').catch(() => { writers = undefined; });
  (await writers)?.show(messageList);
}

/** The id of the open conversation; '' before there is one. */
function threadID() { return me?.thread ?? ''; }

// --- joining -----------------------------------------------------------------

async function join() {
  if (!me) return; // the name is not known yet
  const had = me.thread;
  const answer = await connection.request('join', {
    display_name: me.name, ...(me.phone && { phone_number: me.phone }), ...(had && { thread_id: had }),
    page_url: host.url, locale: lang, ...(host.person && vouched(host.person)),
  });
  if (had && (answer.thread_id !== had || answer.resumed === false)) {
    // The team deleted the conversation while the page was offline; unsent messages go into the new one.
    startOver();
  }
  if (answer.build && !import.meta.url.includes(answer.build)) import('./lib/reload-after-update.js').then(({ renew }) => renew(answer.build, () => !outbox.waiting), () => { /* tried again at the next connect */ });
  messageHistory.turnTo(answer.thread_id);
  // In a new conversation there are no older messages that may have been read elsewhere.
  remember({ ...(!had && { seen: 0 }), ...me, thread: answer.thread_id, read: Math.max(me.read ?? 0, answer.team_read_id) });
  situation.rating = answer.rating;
  if (answer.rev >= blockedRev) {
    situation.blocked = false;
    blockedRev = answer.rev;
  }
  if (answer.thread_id !== had || answer.rev >= statusRev) {
    situation.closed = answer.status === 'closed';
    statusRev = answer.rev;
  }
  showTeam(answer.team);
  await showWriters([]); // otherwise what is shown would move
  await messageHistory.catchUp();
  messageList.read(Number(me.read));
  messageList.delivered(answer.team_received_id);
  outbox.reload();
  sendDelivered();
  countUnread();
  promptArea.refresh();
}

const vouched = (/** @type {Person} */ { id, hash, email }) => ({ identity: { id, hash }, ...(email && { email }) });

/** Shows messages of the history, and removes those that the server already has from the outbox. @param {Protocol.Message[]} messages */
function take(messages) {
  messageList.add(messages);
  showWriters(messages);
  for (const message of messages) if (message.client_id) outbox.acknowledge(message.client_id, message);
}

/** @param {Item} item */
async function send(item) {
  const thread = me?.thread;
  if (!thread || !connection.online) throw new Refused('offline');
  try {
    const answer = await connection.request('message', {
      thread_id: thread, content_text: item.text, content_type: item.type ?? 'text', client_id: item.client_id, ...(item.url && { file_url: item.url }),
    });
    return answer.message;
  } catch (error) {
    const { code = '' } = /** @type {Failure} */ (error);
    if (code !== 'unauthorized' && code !== 'not_found') throw error;
    // The server does not know that this socket joined, or the thread is gone: join again.
    await join();
    throw new Refused('timeout');
  }
}

/** Empties the page after the conversation was deleted, except for unsent messages. */
function startOver() {
  if (!me) return;
  situation.ended = messageList.size > 0;
  situation.closed = false;
  messageList.reset();
  messageHistory.turnTo(null);
  messageHistory.turnTo(me.thread);
  readSent = deliveredSent = 0;
  remember({ ...me, read: 0, seen: 0 });
  countUnread();
  promptArea.refresh();
  for (const item of outbox.items) messageList.pending(item, item.failed ? 'failed' : 'waiting');
}

/** @param {Visitor} next */
function remember(next) {
  me = next;
  store.set('visitor', next);
}

// --- events of the server ----------------------------------------------------

/** @param {Protocol.Message} message */
function receive(message) {
  if (!me?.thread || message.thread_id !== me.thread) return;
  messageList.add([message], { lively: true });
  if (message.client_id) outbox.acknowledge(message.client_id, message);
  if (message.sender_type === 'visitor') return;
  showWriters([message]);
  typist.update('team', false);
  sendDelivered();
  countUnread();
  if (messageList.watched || message.id <= lastReceived) return; // each message is sent under its current and its older event name
  lastReceived = message.id;
  if (store.get('sound')) ring();
}
let lastReceived = 0;
let statusRev = 0; // revisions of the thread, below which events are outdated
let blockedRev = 0;
let badged = 0;
const ring = () => import('./lib/notification-sound.js').then((sound) => sound.ring(), () => { /* no sound then */ });

/** Shows the number of unread messages of the team in title and icon. me.seen is the newest message seen in any tab. */
function countUnread() {
  const n = messageList.watched || me?.seen === undefined ? 0 : messageList.theirsAfter(me.seen);
  // A frame has no title or icon of its own.
  if (n === badged || window !== window.top) return;
  badged = n;
  import('./lib/unread-badge.js').then(({ badge }) => badge(badged), () => { /* the page shows it too */ });
}

connection.on('message', receive).on('message_from_admin', receive);
connection.on('typing', ({ thread_id: thread, sender_type: from, typing: on }) => {
  if (thread === me?.thread && from !== 'visitor') typist.update('team', on);
});
connection.on('read', ({ thread_id: thread, last_id: lastID, reader }) => {
  if (!me || thread !== me.thread || reader === 'visitor') return;
  messageList.read(lastID);
  remember({ ...me, read: lastID });
});
for (const event of /** @type {const} */ (['message_edited', 'message_reaction'])) connection.on(event, (message) => { if (message.thread_id === me?.thread) messageList.edit(message); });
connection.on('delivered', ({ thread_id: thread, last_id: lastID, by }) => { if (thread === me?.thread && by !== 'visitor') messageList.delivered(lastID); });
connection.on('team_status', showTeam);
connection.on('thread_status', ({ thread_id: thread, status, rev }) => {
  if (thread !== me?.thread || rev < statusRev) return;
  statusRev = rev;
  situation.closed = status === 'closed';
  situation.rating = situation.closed ? situation.rating : 0;
  promptArea.refresh();
});
// The retention period of some messages has ended.
connection.on('messages_deleted', ({ thread_id: thread, ids }) => { if (thread === me?.thread) messageList.drop(ids); });
// An agent deleted the conversation. Its id remains valid: the next message creates it again.
connection.on('thread_cleared', ({ thread_id: thread, last_id: last = 0 }) => {
  if (thread !== me?.thread) return;
  if (!last || messageList.lastID <= last) startOver();
  messageList.clearUpTo(last); // the others were written after the deletion
});
connection.addEventListener('state', showState);
connection.addEventListener('ready', () => {
  outbox.flush();
  sendRead();
});
connection.on('thread_blocked', ({ thread_id: thread, blocked, rev }) => {
  if (thread !== me?.thread || rev && rev < blockedRev) return;
  blockedRev = rev;
  setBlocked(blocked);
  if (!blocked) connection.rejoin();
});
connection.addEventListener('refused', ({ detail: { code, rev = blockedRev } }) => {
  if (code !== 'blocked' || rev < blockedRev) return;
  blockedRev = rev;
  setBlocked(true);
});
connection.addEventListener('refused', ({ detail: error }) => {
  if (error.code !== 'validation_error') return;
  if (error.field === 'identity') {
    // The conversation continues without a verified identity.
    host.identityRefused();
    host.person = null;
    if (me) remember({ ...me, person: undefined });
    return; // joining is tried again soon
  }
  if (!me) return;
  // The server refused the name or phone, which only the visitor can correct; unsent messages are kept.
  store.remove('visitor');
  form.elements.name.value = me.name;
  form.elements.phone.value = me.phone ?? '';
  me = null;
  byId('talk').dataset.stage = 'start';
  showProblem(byId('name-problem'), t('visitor.name_refused'));
  form.elements.name.focus();
});

outbox.addEventListener('change', ({ detail: { item, state, code } }) => {
  if (state === 'gone') messageList.remove(item.client_id);
  else messageList.pending(item, state, code);
});
outbox.addEventListener('progress', ({ detail: { item, share } }) => messageList.uploading(item.client_id, share));
outbox.addEventListener('sent', ({ detail: { message } }) => {
  if (message) messageList.add([message]);
  promptArea.refresh();
});

messageList.addEventListener('seen', () => {
  if (me && me.seen !== messageList.lastTheirs) remember({ ...me, seen: messageList.lastTheirs });
  countUnread();
  sendRead();
});

/** Sends the team a delivered mark; a read mark implies it, and is sent by sendRead. */
function sendDelivered() {
  const last = messageList.lastTheirs;
  if (last <= Math.max(deliveredSent, readSent) || messageList.watched) return;
  deliveredSent = last;
  connection.emit('delivered', { thread_id: threadID(), last_id: last });
}

/** Sends the team a read mark; if that fails, it is sent again after the next connect. */
function sendRead() {
  const last = messageList.lastTheirs;
  if (last <= readSent || !connection.online || !messageList.watched) return;
  readSent = last;
  connection.request('read', { thread_id: threadID(), last_id: last }).catch(() => { if (readSent === last) readSent = 0; });
}

setInterval(() => {
  if (!document.hidden && me?.thread) connection.emit('heartbeat', { thread_id: me.thread });
}, HEARTBEAT);

// --- what the page shows -----------------------------------------------------

/** @param {boolean} on */
function showTyping(on) {
  const follow = messageList.watched;
  byId('typing').hidden = !on;
  byId('typing-text').textContent = on ? agent ? t('visitor.agent_typing', { name: agent }) : t('visitor.team_typing') : '';
  if (on && follow) messageList.toEnd();
}

/** The team has blocked or unblocked this visitor. The visitor's messages stay on the page, marked as not sent. @param {boolean} on */
function setBlocked(on) {
  situation.blocked = on;
  showState();
  promptArea.refresh();
}

/** @param {Protocol.Team} now */
function showTeam(now) {
  team = now;
  showState();
  promptArea.refresh();
}

function showState() {
  const trouble = situation.blocked ? 'state_blocked' : me && TROUBLE[connection.state];
  byId('state').textContent = trouble ? t(`visitor.${trouble}`) : teamLine(team) || t(me ? 'visitor.state_online' : 'visitor.state_start');
  byId('talk').dataset.connection = connection.state;
}

/** @param {{focus: boolean}} how */
function openTalk({ focus }) {
  byId('talk').dataset.stage = 'talk';
  byId('conversation').hidden = false;
  composer.fill(store.get('draft'));
  for (const item of outbox.items) messageList.pending(item, item.failed ? 'failed' : 'waiting');
  if (!document.querySelector('.hello')) {
    byId('log').before(make('div', { className: 'hello' }, teamFace.cloneNode(true), make('p', { className: 'hello-text' }, t('visitor.hello', { name: me?.name })), make('p', { className: 'quiet' }, t('visitor.hello_next'))));
  }
  showState();
  bar.refresh();
  if (focus) composer.focus();
}

const form = byId('start-form');
byId('start-button').type = 'submit'; // as a submit button it would reload the page if pressed before this script runs
form.addEventListener('submit', (event) => {
  event.preventDefault();
  if (me) return;
  const name = form.elements.name.value.trim();
  const problem = name ? '' : t('visitor.name_missing');
  showProblem(byId('name-problem'), problem);
  form.elements.name.toggleAttribute('aria-invalid', Boolean(problem));
  if (problem) {
    form.elements.name.focus();
    return;
  }
  remember({ name, phone: form.elements.phone.value.trim(), thread: null, ...(host.person && { person: host.person.id }) });
  openTalk({ focus: true });
  connection.rejoin();
});

// In another tab the visitor gave the name, or the conversation changed.
store.watch((key, changed) => {
  if (key !== 'visitor' || !changed) return;
  const value = /** @type {Visitor} */ (changed);
  const first = !me;
  const elsewhere = Boolean(value.thread) && value.thread !== me?.thread;
  const moved = elsewhere && Boolean(me?.thread);
  me = value;
  if (moved) startOver();
  if (first) openTalk({ focus: false });
  if (elsewhere) connection.rejoin();
  countUnread();
});

menu(byId('menu'));
const sound = byId('sound');
const showSound = () => sound.setAttribute('aria-checked', String(store.get('sound') === true));
sound.hidden = typeof AudioContext !== 'function';
sound.addEventListener('click', () => {
  store.set('sound', store.get('sound') !== true);
  showSound();
  if (store.get('sound')) ring();
});
showSound();

// The first field is focused only on devices with a keyboard, because on phones that would open the on-screen one.
const ready = matchMedia('(hover: hover)').matches;
if (me) {
  openTalk({ focus: ready });
} else {
  showState();
  if (ready) form.elements.name.focus({ preventScroll: true });
}
host.ready.then(() => connection.start());
// In a frame on another site the worker's storage would be partitioned by site, so it would be of no use.
if (window === window.top) window.addEventListener('load', () => import('./lib/register-service-worker.js').then(({ worker }) => worker()));

/** What widget.js uses of this page. */
export const page = {
  connection, outbox, store, messageList,
  get me() { return me; },
  /** Focuses the field to write in next. */
  focus() {
    if (me) composer.focus();
    else form.elements.name.focus({ preventScroll: true });
  },
  /** The embedding site has identified its user. The conversation of another user is removed from this browser. @param {Person} person */
  introduce(person) {
    if (me?.person && me.person !== person.id) {
      page.forget();
      return;
    }
    host.person = person;
    if (!me && !person.name) return; // the visitor is asked for the name, and then both are sent
    const first = !me;
    remember({ name: person.name ?? '', phone: person.phone ?? '', thread: null, ...me, person: person.id });
    if (first) openTalk({ focus: false });
    connection.rejoin();
  },
  /** Removes the visitor and all their data from this browser. */
  forget() {
    for (const item of outbox.items) outbox.drop(item.client_id);
    for (const key of store.keys()) store.remove(key);
    location.reload();
  },
};
