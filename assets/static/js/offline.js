// The offline page, shown in place of a page that cannot be loaded. It reloads as soon as the server answers.
const again = async () => {
  const there = await fetch(new URL('health/live', document.getElementById('again').href), { cache: 'no-store' }).then((r) => r.ok, () => false);
  if (there) location.reload();
};
window.addEventListener('online', again);
document.addEventListener('visibilitychange', () => { if (!document.hidden) again(); });
setInterval(again, 10_000);
document.getElementById('again').addEventListener('click', (event) => {
  event.preventDefault();
  location.reload();
});
