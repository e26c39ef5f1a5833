// The number of unread messages in the page's title and icon, and on the icon of an installed app.
const SIZE = 64;

const name = document.title;
const link = /** @type {HTMLLinkElement | null} */ (document.querySelector('link[rel="icon"]'));
const plain = link?.href ?? '';
let shown = 0;
/** @type {Promise<HTMLImageElement> | null} */
let picture = null;

/** The page's icon as an image, loaded once. */
function base() {
  picture ??= new Promise((resolve, reject) => {
    const image = new Image();
    image.onload = () => resolve(image);
    image.onerror = reject;
    image.src = plain;
  });
  return picture;
}

/** @param {HTMLLinkElement} link @param {number} n */
async function draw(link, n) {
  const image = await base();
  if (n !== shown) return; // the number changed while the icon was loading
  const canvas = Object.assign(document.createElement('canvas'), { width: SIZE, height: SIZE });
  const pen = /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d'));
  pen.drawImage(image, 0, 0, SIZE, SIZE);
  const text = n > 9 ? '9+' : String(n);
  const r = SIZE * 0.31;
  pen.beginPath();
  pen.arc(SIZE - r, SIZE - r, r, 0, 2 * Math.PI);
  pen.fillStyle = '#b3261e';
  pen.fill();
  pen.fillStyle = '#fff';
  pen.font = `700 ${Math.round(r * (text.length > 1 ? 1.05 : 1.4))}px system-ui, sans-serif`;
  pen.textAlign = 'center';
  pen.textBaseline = 'middle';
  pen.fillText(text, SIZE - r, SIZE - r + 2);
  link.type = 'image/png';
  link.href = canvas.toDataURL('image/png');
}

/** Shows n in the title and the icon; 0 removes it. @param {number} n */
export function badge(n) {
  if (n === shown) return;
  shown = n;
  navigator.setAppBadge?.(n).catch(() => { /* the title shows it too */ }); // 0 removes the badge
  document.title = n ? `(${n > 999 ? '999+' : n}) ${name}` : name;
  if (!link) return;
  if (n) {
    draw(link, n).catch(() => { /* the title shows it too */ });
  } else {
    link.type = 'image/svg+xml';
    link.href = plain;
  }
}
