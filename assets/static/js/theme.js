// Light, dark, or as the system has it: the switch acts at once, and a cookie tells the server, which writes the choice into
// <html> so that the next page is drawn right from its first pixel.
const root = document.documentElement;
const SCHEMES = ['light', 'dark'];
const { pathname: folder } = new URL('.', document.querySelector('[rel=icon]').href); // that all of this server is in

function kept() {
  try {
    const value = /(?:^|; )theme=(\w+)/.exec(document.cookie)?.[1];
    return SCHEMES.includes(value) ? value : 'system';
  } catch { return root.dataset.theme ?? 'system'; } // no cookies here: the page keeps it while it lives
}

function keep(theme) {
  const age = theme === 'system' ? 0 : 31_536_000;
  try { document.cookie = `theme=${theme}; path=${folder}; max-age=${age}; samesite=lax`; } catch { /* as above */ }
}

function show(theme) {
  const fixed = SCHEMES.includes(theme);
  if (fixed) root.dataset.theme = theme; else delete root.dataset.theme;
  document.querySelector('meta[name=color-scheme]').content = fixed ? theme : 'light dark';
  for (const [i, meta] of document.querySelectorAll('meta[name=theme-color]').entries()) {
    meta.media = !fixed ? `(prefers-color-scheme: ${SCHEMES[i]})` : SCHEMES[i] === theme ? 'all' : 'not all';
  }
  for (const link of document.querySelectorAll('.themes a')) {
    if (link.search === `?theme=${theme}`) link.setAttribute('aria-current', 'true'); else link.removeAttribute('aria-current');
  }
}

document.addEventListener('click', (event) => {
  const link = event.target.closest?.('.themes a');
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  const theme = link.search.slice('?theme='.length);
  keep(theme);
  show(theme);
});
// Another tab may have switched while this page slept, or stood in the back/forward cache.
const follow = () => { if (!document.hidden && kept() !== (root.dataset.theme ?? 'system')) show(kept()); };
document.addEventListener('visibilitychange', follow);
window.addEventListener('pageshow', (event) => { if (event.persisted) follow(); });
