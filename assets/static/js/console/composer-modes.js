// The modes of the composer: a reply to the visitor, a note for the team, or an edit of one of our messages.
import { byId } from '../lib/dom.js';
import { t } from '../lib/i18n.js';
import { newID } from '../lib/outbox.js';
/** @import { Connection } from '../lib/connection.js' */
/** @import { Entry } from '../lib/message-entry.js' */
/** @import { OpenThread } from './open-thread.js' */

/** @typedef {'reply' | 'note' | 'edit'} Mode */

/** Why a note or an edit was not stored, by error code. @type {Lookup<string>} */
const REASONS = {
  offline: 'console.unsent_offline', timeout: 'console.unsent_offline', rate_limit_exceeded: 'talk.failed_rate_limit_exceeded', unauthorized: 'console.expired',
};

/**
 * @param {OpenThread} openThread
 * @param {Connection} connection
 * @param {(note: Protocol.Note) => void} noted called with a note that was stored
 */
export function composerModes(openThread, connection, noted) {
  const form = byId('composer');
  const editBar = byId('edit-bar');
  /** @type {Record<string, HTMLElement>} */
  const buttons = { reply: byId('mode-reply'), note: byId('mode-note') };
  /** @type {Mode} */
  let mode = 'reply';
  /** @type {{id: number, text: string} | null} */
  let edited = null;
  /** @type {{text: string, id: string} | null} */
  let tried = null; // the last note sent and its client_id; it may have been stored although the request failed

  /** @param {unknown} error */
  function why(error) {
    return t(REASONS[/** @type {Failure} */ (error).code ?? ''] ?? 'console.unsent');
  }

  /**
   * Runs `send`; if it fails, restores the text unless something else is being written.
   * @param {string} text @param {string} thread @param {() => Promise<void>} send
   */
  async function sendOr(text, thread, send) {
    const was = mode;
    try {
      openThread.composer.problem('');
      await send();
    } catch (error) {
      if (openThread.current !== thread || mode !== was) {
        if (was === 'note') openThread.keepFor(thread, 'note', text);
        return;
      }
      if (!openThread.composer.value) openThread.composer.fill(text);
      openThread.composer.keep();
      openThread.composer.problem(why(error));
    }
  }

  /** @param {string} text */
  async function note(text) {
    const thread = openThread.current;
    if (!thread) return;
    if (tried?.text !== text) tried = { text, id: newID() };
    const { id } = tried;
    await sendOr(text, thread, async () => {
      const { note: stored } = await connection.request('note', { thread_id: thread, text, client_id: id });
      tried = null;
      noted(stored);
    });
  }

  /** @param {string} text */
  async function correct(text) {
    const thread = openThread.current;
    if (!thread || !edited) return;
    const { id } = edited;
    if (text === edited.text) {
      turnTo('reply', { focus: true });
      return;
    }
    await sendOr(text, thread, async () => {
      const { message } = await connection.request('edit_message', { thread_id: thread, id, text });
      if (openThread.current === thread) openThread.messageList.edit(message);
      if (edited?.id === id) turnTo('reply', { focus: true });
    });
  }

  /** @param {Mode} next */
  function turnTo(next, { focus = false } = {}) {
    mode = next;
    form.dataset.mode = next;
    editBar.hidden = next !== 'edit';
    byId('composer-modes').hidden = next === 'edit';
    for (const [name, button] of Object.entries(buttons)) button.setAttribute('aria-pressed', String(name === next));
    if (next !== 'edit') edited = null;
    if (next === 'reply') openThread.writeTo();
    else if (next === 'note') openThread.writeTo('note', note);
    else openThread.writeTo('', correct); // the text being edited is not saved as a draft
    label();
    if (focus && openThread.current) openThread.composer.focus();
  }

  function label() {
    const key = { reply: 'console.write_to', note: 'console.write_note', edit: 'console.write_edit' }[mode];
    openThread.composer.label(t(key, { name: openThread.name() }));
    byId('send').title = t(mode === 'note' ? 'console.save_note' : mode === 'edit' ? 'console.save_edit' : 'talk.send');
    byId('send').setAttribute('aria-label', byId('send').title);
  }

  /** @param {Entry} entry */
  function edit(entry) {
    edited = { id: entry.id, text: entry.text };
    turnTo('edit');
    openThread.composer.fill(entry.text);
    openThread.composer.focus();
  }

  buttons.reply.addEventListener('click', () => turnTo('reply', { focus: true }));
  buttons.note.addEventListener('click', () => turnTo('note', { focus: true }));
  byId('edit-cancel').addEventListener('click', () => turnTo('reply', { focus: true }));
  openThread.addEventListener('edit', ({ detail }) => edit(detail));
  openThread.addEventListener('turn', () => { tried = null; turnTo('reply'); });
  byId('text').addEventListener('keydown', (event) => {
    if (event.key === 'Escape' && mode !== 'reply') {
      event.stopPropagation();
      turnTo('reply', { focus: true });
    }
    // As in other chat programs, Up in an empty field edits the last own message.
    if (event.key === 'ArrowUp' && mode === 'reply' && !byId('text').value) {
      const last = openThread.messageList.lastOwn((entry) => entry.text);
      if (!last) return;
      event.preventDefault();
      edit(last);
    }
  });
  turnTo('reply');
  return { turnTo, label, get mode() { return mode; } };
}
