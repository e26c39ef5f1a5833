// The visitor's page in the frame of the panel that /widget.js (see loader/) shows on another site.
import { framed, on, ready, send } from './widget/parent-channel.js';
import { page } from './visitor.js';
import { byId } from './lib/dom.js';
import { host } from './lib/host-page.js';

const { connection, outbox, store, messageList } = page;
const box = byId('talk');

/** The id of the newest message of the team that the visitor has seen. */
let seen = store.get('seen') ?? 0;
/** @type {boolean | null} */
let had = null;

function look() {
  if (messageList.watched && messageList.lastTheirs > seen) {
    seen = messageList.lastTheirs;
    store.set('seen', seen);
  }
  report();
}

/** Reports to the embedding page the number of unread messages, and whether there is a conversation to resume. */
function report() {
  send('unread', box.hidden ? messageList.theirsAfter(seen) : 0);
  const has = Boolean(page.me?.thread) && store.lasting;
  if (has === had) return;
  had = has;
  send('talk', has);
}

/** @param {{phone: boolean}} how */
function open({ phone }) {
  box.hidden = false;
  messageList.scrolled();
  look();
  // On a phone the text field is not focused, because the keyboard would cover half of the screen.
  if (phone) box.focus({ preventScroll: true }); else page.focus();
}

if (framed) {
  box.tabIndex = -1;
  const fold = byId('fold');
  fold.hidden = false;
  fold.addEventListener('click', () => send('close'));
  // An open dialog, such as an enlarged picture, is closed first.
  document.addEventListener('keydown', (event) => {
    if (event.key === 'Escape' && !event.defaultPrevented && !document.querySelector('dialog[open]')) send('close');
  });

  on('open', open);
  on('close', () => {
    box.hidden = true;
    report();
  });
  on('identify', page.introduce);
  on('reset', page.forget);
  on('page', (where) => {
    Object.assign(host, where);
    if (page.me?.thread) connection.emit('page', { thread_id: page.me.thread, page_url: host.url, page_title: host.title });
  });
  host.identityRefused = () => send('doubted');

  messageList.addEventListener('seen', look);
  connection.addEventListener('ready', look);
  connection.on('message', (message) => {
    report();
    if (message.sender_type !== 'visitor' && message.thread_id === page.me?.thread) send('message', { from: 'team', type: message.content_type });
  });
  outbox.addEventListener('sent', ({ detail: { item } }) => send('message', { from: 'visitor', type: item.type ?? 'text' }));

  ready.then((first) => {
    if (first.person) page.introduce(first.person);
    if (first.open) open(first);
  });
}
