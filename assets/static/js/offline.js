// Shown in place of a page that could not be had. As soon as there is a connection the page itself is tried again.
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
