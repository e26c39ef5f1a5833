// The progress of long work on the server, such as deleting what is stored of all conversations.
import { byId } from '../lib/dom.js';
import { t } from '../lib/i18n.js';
/** @import { Connection } from '../lib/connection.js' */

const SILENT = 15_000; // ms without news after which work is no longer shown; it is reported every second

/**
 * Returns a function that takes the work that is left, after each connect.
 * @param {Connection} connection
 */
export function jobProgress(connection) {
  const line = byId('job');
  const name = byId('job-name');
  const bar = /** @type {HTMLProgressElement} */ (byId('job-bar'));
  let shown = 0;
  let timer = 0;

  /** @param {Protocol.Job} job */
  function show(job) {
    if (job.finished ? job.id !== shown : shown && job.id !== shown) return; // one at a time
    clearTimeout(timer);
    shown = job.finished ? 0 : job.id;
    line.hidden = !shown;
    if (!shown) return;
    const text = t(`console.job_${job.kind}`);
    if (name.textContent !== text) name.textContent = text; // announced once
    if (job.total) { bar.max = job.total; bar.value = Math.min(job.done, job.total); } else bar.removeAttribute('value');
    timer = setTimeout(() => show({ ...job, finished: true }), SILENT);
  }

  connection.on('job', show);
  return (/** @type {Protocol.Job[]} */ jobs) => {
    if (shown) show({ ...jobs[0], id: shown, finished: true });
    const running = jobs.find((job) => job.done);
    if (running) show(running);
  };
}
