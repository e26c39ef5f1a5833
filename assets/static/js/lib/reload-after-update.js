// Reloads a page that stayed open while the server was updated, once that loses nothing. This module must import nothing: an old
// page loads it from the new build.
const KEY = 'sohbet.renewed';
const PAUSE = 1_000;

let waiting = false;

/**
 * Reloads the page as soon as nothing is typed, attached, recorded or being sent. Only once for each build, because several server
 * processes may have different builds for a while.
 * @param {string} build the server's build
 * @param {() => boolean} idle whether nothing is being sent
 */
export function renew(build, idle) {
  try {
    if (waiting || sessionStorage.getItem(KEY) === build) return;
  } catch { return; } // without storage a reload would lose the conversation
  waiting = true;
  const timer = setInterval(() => {
    if (!idle() || document.querySelector('dialog[open], #tray:not([hidden]), #recorder:not([hidden])')) return;
    if ([.../** @type {NodeListOf<HTMLInputElement>} */ (document.querySelectorAll('.input'))].some((field) => field.value && field.getClientRects().length)) return;
    clearInterval(timer);
    sessionStorage.setItem(KEY, build);
    location.reload();
  }, PAUSE);
}
