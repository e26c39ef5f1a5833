// Actions on a whole conversation: close and reopen, block, export.
import { APIError, csrf, post } from '../lib/api.js';
import { byId, showProblem } from '../lib/dom.js';
import { t } from '../lib/i18n.js';
import { confirm } from './confirm-dialog.js';
/** @import { Parts } from '../console.js' */
/** @import { Session } from './session.js' */

/**
 * The text for an error of an HTTP or socket request; `otherwise` is the key of the general text.
 * @param {Session} session @param {unknown} error @param {string} otherwise
 */
export function errorText(session, error, otherwise) {
  if (session.failed(error)) return t('console.expired');
  const { code = '' } = /** @type {Failure} */ (error);
  return t(['network', 'offline', 'timeout'].includes(code) ? 'console.list_offline' : otherwise);
}

/**
 * Closes the open conversation, or reopens it.
 * @param {Parts} parts
 * @param {(text: string) => void} say shows an error
 */
export async function toggleClosed({ openThread, connection, session }, say) {
  const { thread } = openThread;
  if (!thread) return;
  const status = thread.status === 'closed' ? 'active' : 'closed';
  try {
    await connection.request('set_status', { thread_id: thread.id, status });
  } catch (error) {
    say(errorText(session, error, 'console.block_failed'));
  }
}

/** Asks for confirmation, and blocks or unblocks the visitor of the open conversation. @param {Pick<Parts, 'openThread' | 'threads' | 'session'>} parts */
export async function block({ openThread, threads, session }) {
  const id = openThread.current;
  if (!id) return;
  const on = !threads.get(id)?.blocked;
  const problem = (/** @type {unknown} */ error) => errorText(session, error, 'console.block_failed');
  await confirm(on ? {
    title: t('console.block_title', { name: openThread.name(id) }), text: t('console.block_text'), yes: t('console.block'), option: t('console.block_address'),
    act: (address) => post('api/threads/block', { thread_id: id, address }), problem,
  } : {
    title: t('console.unblock_title', { name: openThread.name(id) }), text: t('console.unblock_text'), yes: t('console.unblock'),
    act: () => post('api/threads/unblock', { thread_id: id }), problem,
  });
}

/** The dialog for saving the open conversation as a file. @param {Pick<Parts, 'openThread' | 'session'>} parts */
export function exportDialog({ openThread, session }) {
  const dialog = byId('export-dialog');
  const problem = byId('export-problem');
  byId('export-form').addEventListener('submit', async (event) => {
    event.preventDefault();
    const button = byId('export-save');
    button.disabled = true;
    showProblem(problem, '');
    try {
      const form = new FormData(byId('export-form'));
      await save({
        thread_id: openThread.current, format: form.get('format'), notes: form.has('notes'), time_zone: Intl.DateTimeFormat().resolvedOptions().timeZone,
      });
      dialog.close();
    } catch (error) {
      showProblem(problem, errorText(session, error, 'console.export_failed'));
    } finally {
      button.disabled = false;
    }
  });
  byId('export-cancel').addEventListener('click', () => dialog.close());
  return () => {
    if (!openThread.current) return;
    showProblem(problem, '');
    dialog.showModal();
  };
}

/**
 * Requests the export by POST, so that the thread id is not in a URL, and starts a download of the response.
 * @param {Record<'thread_id' | 'format' | 'notes' | 'time_zone', unknown>} what
 */
async function save(what) {
  let answer;
  try {
    answer = await fetch('api/threads/export', {
      method: 'POST', credentials: 'same-origin', body: JSON.stringify(what),
      headers: { 'Content-Type': 'application/json', 'X-CSRF-Token': csrf },
    });
  } catch {
    throw new APIError('network');
  }
  if (!answer.ok) throw new APIError(answer.status === 401 ? 'unauthorized' : 'failed', '', answer.status);
  const blob = await answer.blob();
  const address = URL.createObjectURL(blob);
  const link = Object.assign(document.createElement('a'), { href: address, download: fileName(answer.headers.get('Content-Disposition')) ?? `sohbet.${what.format === 'json' ? 'json' : 'txt'}` });
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}

/** The name in a Content-Disposition header (RFC 6266): filename* before filename. @param {string | null} header */
function fileName(header) {
  const extended = /filename\*=UTF-8''([^;]+)/i.exec(header ?? '')?.[1];
  try {
    if (extended) return decodeURIComponent(extended);
  } catch { /* invalid encoding */ }
  return /filename="?([^";]+)"?/i.exec(header ?? '')?.[1] ?? null;
}
