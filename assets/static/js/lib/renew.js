// A page that is open while the server is updated goes on with what it has, and is replaced by today's when nothing is lost by that.
// This module imports nothing: it is of the new build, in a page of the old one.
const KEY = 'sohbet.renewed';
const PAUSE = 1_000;

let waiting = false;

/**
 * Reloads the page as soon as nothing is written, attached, recorded or on its way; for each build once, for several processes may
 * have different ones for a while.
 * @param {string} build of the server
 * @param {() => boolean} idle whether nothing is on its way
 */
export function renew(build, idle) {
  try {
    if (waiting || sessionStorage.getItem(KEY) === build) return;
  } catch { return; } // nothing is kept here: a reload would lose the conversation
  waiting = true;
  const timer = setInterval(() => {
    if (!idle() || document.querySelector('dialog[open], #tray:not([hidden]), #recorder:not([hidden])')) return;
    if ([...document.querySelectorAll('.input')].some((field) => field.value && field.getClientRects().length)) return;
    clearInterval(timer);
    sessionStorage.setItem(KEY, build);
    location.reload();
  }, PAUSE);
}
