// The dialog for creating, editing and deleting canned replies.
import { post } from '../lib/api.js';
import { byId, icon, make, showProblem } from '../lib/dom.js';
import { t } from '../lib/i18n.js';
/** @import { CannedReplies } from './canned-replies.js' */
/** @import { Session } from './session.js' */

const SHORTCUT = /^[\p{L}\p{N}_-]{1,32}$/u;

/** @param {CannedReplies} canned @param {Session} session */
export function cannedRepliesDialog(canned, session) {
  const dialog = byId('canned-dialog');
  const form = byId('canned-form');
  const [shortcut, text, problem] = [byId('canned-shortcut'), byId('canned-text'), byId('canned-problem')];
  /** @type {Protocol.CannedReply | null} */
  let changing = null; // the reply being edited; null = a new one

  /** @param {Protocol.CannedReply | null} reply */
  function fill(reply) {
    changing = reply;
    shortcut.value = reply?.shortcut ?? '';
    text.value = reply?.text ?? '';
    byId('canned-form-title').textContent = t(reply ? 'console.canned_change' : 'console.canned_new');
    byId('canned-new').hidden = !reply;
    complain('');
    for (const row of /** @type {NodeListOf<HTMLElement>} */ (byId('canned-all').querySelectorAll('[data-reply]'))) row.classList.toggle('chosen', row.dataset.reply === String(reply?.id));
  }

  /** @param {string} words @param {HTMLElement | null} field */
  function complain(words, field = null) {
    showProblem(problem, words);
    for (const one of [shortcut, text]) one.toggleAttribute('aria-invalid', one === field);
    field?.setAttribute('aria-invalid', 'true');
    field?.focus();
  }

  /** @param {unknown} error */
  function why(error) {
    if (session.failed(error)) return t('console.expired');
    const { code } = /** @type {Failure} */ (error);
    if (code === 'conflict') return t('console.canned_taken', { shortcut: shortcut.value.trim().replace(/^\//, '') });
    return t(code === 'network' ? 'console.list_offline' : 'console.canned_failed');
  }

  function draw() {
    byId('canned-empty').hidden = canned.all.length > 0;
    byId('canned-all').replaceChildren(...canned.all.map((reply) => make('li', { data: { reply: reply.id } },
      make('button', { type: 'button', className: 'canned-row', onclick: () => { fill(reply); text.focus(); } },
        make('b', { dir: 'auto' }, `/${reply.shortcut}`), make('span', { dir: 'auto' }, reply.text)),
      make('button', {
        type: 'button', className: 'touch', title: t('console.canned_delete'), attrs: { 'aria-label': `${t('console.canned_delete')}: /${reply.shortcut}` }, onclick: () => remove(reply),
      }, icon('trash')))));
  }

  /** @param {Protocol.CannedReply} reply */
  async function remove(reply) {
    try {
      await post('api/canned/delete', { id: reply.id });
      await canned.load();
      if (changing?.id === reply.id) fill(null);
      shortcut.focus();
    } catch (error) {
      complain(why(error));
    }
  }

  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    const name = shortcut.value.trim().replace(/^\//, '');
    if (!SHORTCUT.test(name)) return complain(t('console.canned_shortcut_wrong'), shortcut);
    if (!text.value.trim()) return complain(t('console.canned_text_missing'), text);
    const button = byId('canned-save');
    button.disabled = true;
    const sent = [shortcut.value, text.value];
    try {
      await post('api/canned', { ...(changing && { id: changing.id }), shortcut: name, text: text.value.trim() });
      if (shortcut.value === sent[0] && text.value === sent[1]) { // otherwise the agent has begun to write the next one
        fill(null);
        shortcut.focus();
      }
      await canned.load();
    } catch (error) {
      complain(why(error), /** @type {Failure} */ (error).code === 'conflict' ? shortcut : null);
    } finally {
      button.disabled = false;
    }
    return undefined;
  });
  byId('canned-new').addEventListener('click', () => { fill(null); shortcut.focus(); });
  canned.addEventListener('change', draw);
  draw();

  // Text that was typed and not saved is kept in the form.
  return function open() {
    dialog.showModal();
    shortcut.focus();
    canned.load().catch((error) => complain(why(error)));
  };
}
