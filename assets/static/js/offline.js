// The offline page, shown in place of a page that cannot be loaded. It reloads as soon as the server answers.
const link = /** @type {HTMLAnchorElement} */ (document.getElementById('again'));
const again = async () => {
  const there = await fetch(new URL('health/live', link.href), { cache: 'no-store' }).then((r) => r.ok, () => false);
  if (there) location.reload();
};
window.addEventListener('online', again);
document.addEventListener('visibilitychange', () => { if (!document.hidden) again(); });
setInterval(again, 10_000);
link.addEventListener('click', (event) => {
  event.preventDefault();
  location.reload();
});
