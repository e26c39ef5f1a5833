// The theme switch: light, dark, or following the system. It applies the choice at once, and stores it in a cookie; the server
// writes it into <html>, so that the next page has it from the first paint.
const root = document.documentElement;
const SCHEMES = ['light', 'dark'];
const { pathname: folder } = new URL('.', /** @type {HTMLLinkElement} */ (document.querySelector('[rel=icon]')).href); // path prefix of this server

function kept() {
  try {
    const value = /(?:^|; )theme=(\w+)/.exec(document.cookie)?.[1];
    return value && SCHEMES.includes(value) ? value : 'system';
  } catch { return root.dataset.theme ?? 'system'; } // cookies are blocked: only this page remembers the choice
}

/** @param {string} theme */
function keep(theme) {
  const age = theme === 'system' ? 0 : 31_536_000;
  // biome-ignore lint/suspicious/noDocumentCookie: Safari has had the Cookie Store API since 18.4 only
  try { document.cookie = `theme=${theme}; path=${folder}; max-age=${age}; samesite=lax`; } catch { /* cookies are blocked */ }
}

/** @param {string} theme */
function show(theme) {
  const fixed = SCHEMES.includes(theme);
  if (fixed) root.dataset.theme = theme; else delete root.dataset.theme;
  /** @type {HTMLMetaElement} */ (document.querySelector('meta[name=color-scheme]')).content = fixed ? theme : 'light dark';
  for (const [i, meta] of /** @type {NodeListOf<HTMLMetaElement>} */ (document.querySelectorAll('meta[name=theme-color]')).entries()) {
    meta.media = !fixed ? `(prefers-color-scheme: ${SCHEMES[i]})` : SCHEMES[i] === theme ? 'all' : 'not all';
  }
  for (const link of /** @type {NodeListOf<HTMLAnchorElement>} */ (document.querySelectorAll('.themes a'))) {
    if (link.search === `?theme=${theme}`) link.setAttribute('aria-current', 'true'); else link.removeAttribute('aria-current');
  }
}

document.addEventListener('click', (event) => {
  const link = /** @type {HTMLAnchorElement | null} */ (/** @type {Element} */ (event.target).closest?.('.themes a'));
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  const theme = link.search.slice('?theme='.length);
  keep(theme);
  show(theme);
});
// The theme may have been changed in another tab while this page was hidden or in the back/forward cache.
const follow = () => { if (!document.hidden && kept() !== (root.dataset.theme ?? 'system')) show(kept()); };
document.addEventListener('visibilitychange', follow);
window.addEventListener('pageshow', (event) => { if (event.persisted) follow(); });
