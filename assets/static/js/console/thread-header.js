// The header above the conversation: the visitor's name and state, and the buttons for actions.
import { byId } from '../lib/dom.js';
import { face } from '../lib/face.js';
import { t } from '../lib/i18n.js';
import { ago } from '../lib/format-time.js';
import { showDetails } from './visitor-details.js';
/** @import { TypingIn } from '../lib/typing.js' */
/** @import { OpenThread } from './open-thread.js' */
/** @import { Thread } from './thread-store.js' */

/** @param {Thread} thread @param {boolean} typing */
function state(thread, typing) {
  if (thread.blocked) return t('console.blocked');
  if (typing) return t('console.typing');
  if (thread.status === 'closed') return thread.statusBy ? t('console.closed_by', { name: thread.statusBy.name }) : t('console.closed');
  if (thread.online) return t('console.online');
  return thread.seen ? t('console.seen', { time: ago(thread.seen) }) : t('console.offline');
}

/** @param {OpenThread} openThread @param {TypingIn} visitors who is typing */
export function threadHeader(openThread, visitors) {
  let said = '';
  return function draw() {
    const { thread, current } = openThread;
    if (!thread || !current) {
      if (!current) showDetails(null);
      return;
    }
    const name = openThread.name();
    const typing = visitors.has(current);
    const closed = thread.status === 'closed';
    if (byId('head-name').textContent !== name) {
      byId('head-name').textContent = name;
      byId('head-face').replaceChildren(face(name));
    }
    byId('head-state').textContent = state(thread, typing);
    byId('head-state').classList.toggle('online', thread.online && !thread.blocked);
    byId('finish-text').textContent = t(closed ? 'console.reopen' : 'console.close');
    byId('finish').dataset.now = closed ? 'closed' : 'open';
    byId('block-text').textContent = t(thread.blocked ? 'console.unblock' : 'console.block');
    byId('closed-bar').hidden = !closed || thread.blocked;
    byId('blocked-bar').hidden = !thread.blocked;
    byId('typing').hidden = !typing;
    byId('typing-text').textContent = typing ? t('console.name_typing', { name }) : '';
    const now = `${current} ${typing}`;
    if (typing && now !== said && openThread.messageList.watched) openThread.messageList.toEnd();
    said = now;
    showDetails(thread);
  };
}
