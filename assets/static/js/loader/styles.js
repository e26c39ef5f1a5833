// Styles of the button and the panel. They are a constructed style sheet in our shadow root: the site's rules do not apply inside
// (important rules of a shadow root outweigh those of the page), and no Content-Security-Policy forbids it.

const dark = '--color:var(--night,#4fc3b3);--on:#06201c;--sheet:#131412;--ink:#eceae4;--quiet:#a29d93;--badge:#f0a93b;--on-badge:#241702;--shade:0 10px 32px rgb(0 0 0/.5),0 0 0 1px #2c2e2a';

export const STYLES = `
:host{all:initial!important;position:fixed!important;inset:auto!important;inline-size:0!important;block-size:0!important;margin:0!important;border:0!important;padding:0!important;display:block!important;overflow:visible!important;z-index:2147483647!important}
:host::backdrop{display:none!important}
*{box-sizing:border-box;margin:0}
.root{--h:100vh;--color:var(--day,#0b6b61);--on:#fff;--sheet:#faf8f4;--ink:#1d1c1a;--quiet:#625e57;--badge:#b45309;--on-badge:#fff;--shade:0 8px 28px rgb(40 34 22/.18),0 1px 3px rgb(40 34 22/.12);color:var(--ink);font:400 15px/1.45 system-ui,sans-serif}
@supports(height:1dvh){.root{--h:100dvh}}
@media(prefers-color-scheme:dark){.root:not(.light){${dark}}}
.root.dark{${dark}}
.launcher{position:fixed;inset-block-end:calc(var(--y) + env(safe-area-inset-bottom));inline-size:56px;block-size:56px;padding:0;border:0;border-radius:50%;display:grid;place-items:center;background:var(--color);color:var(--on);box-shadow:var(--shade);cursor:pointer;-webkit-tap-highlight-color:transparent;transition:transform 120ms,inset-block-end 120ms}
.left .launcher,.left .panel{left:calc(var(--x) + env(safe-area-inset-left))}
.right .launcher,.right .panel{right:calc(var(--x) + env(safe-area-inset-right))}
.launcher:active{transform:scale(.95)}
:focus-visible{outline:2px solid #fff;outline-offset:0;box-shadow:0 0 0 4px #1d1c1a}
svg{inline-size:28px;block-size:28px;grid-area:1/1;fill:none;stroke:currentColor;stroke-width:2;stroke-linecap:round;stroke-linejoin:round;transition:opacity 120ms,transform 120ms}
.root:not(.open) .fold,.open .talk{opacity:0;transform:scale(.7)}
.badge{position:absolute;inset-block-start:-2px;inset-inline-end:-2px;min-inline-size:22px;block-size:22px;padding-inline:6px;border-radius:11px;background:var(--badge);color:var(--on-badge);font-size:13px;font-weight:600;line-height:22px;text-align:center;font-variant-numeric:tabular-nums}
[hidden],.gone:not(.open) .launcher,.gone[data-state=there] .launcher,:not([data-state=wait])>*>.wait,:not([data-state=lost])>*>.lost{display:none!important}
:not([data-state=there])>*>iframe{visibility:hidden}
.guard{position:absolute}
.panel{position:fixed;inset-block-end:calc(var(--y) + 68px + env(safe-area-inset-bottom));inline-size:min(380px,100vw - 2*var(--x));block-size:min(640px,var(--h) - var(--y) - 80px);display:grid;overflow:hidden;border-radius:12px;background:var(--sheet);box-shadow:var(--shade);visibility:hidden;opacity:0;transform:translateY(8px);transition:opacity 120ms,transform 120ms,visibility 0s 120ms}
.gone .panel{inset-block-end:calc(20px + env(safe-area-inset-bottom))}
.open .panel{visibility:visible;opacity:1;transform:none;transition:opacity 120ms,transform 120ms}
iframe{grid-area:1/1;inline-size:100%;block-size:100%;border:0}
.wait,.lost{grid-area:1/1;place-self:center;text-align:center;padding:24px}
.wait{display:flex;gap:6px;animation:show 0s 300ms both}
.wait i{inline-size:8px;block-size:8px;border-radius:50%;background:var(--quiet);animation:dot 1.2s infinite}
.wait i+i{animation-delay:.15s}
.wait i+i+i{animation-delay:.3s}
.lost button{display:block;margin:16px auto 0;min-block-size:44px;padding:8px 20px;border:0;border-radius:6px;background:var(--color);color:var(--on);font:inherit;font-weight:600;cursor:pointer}
.said{position:absolute;inline-size:1px;block-size:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
@keyframes show{from{opacity:0}}
@keyframes dot{30%{opacity:.3}}
@media(max-width:480px),(max-height:480px){
.root .panel{inset:0;inline-size:auto;block-size:auto;border-radius:0}
.open[data-state=there] .launcher{display:none}
}
@media(prefers-reduced-motion:reduce){.root *{transition:none!important;animation-duration:1ms!important;animation-iteration-count:1!important}}
@media print{.root{display:none}}
@media(forced-colors:active){.launcher,.panel{border:1px solid}}
`;

/** The media query for screens that the panel fills. */
export const FULL_SCREEN = '(max-width:480px),(max-height:480px)';

/**
 * Makes a light and a dark variant of a colour, as [#rrggbb, #rrggbb], with enough contrast to text on it and to the background:
 * moved towards black until its luminance (WCAG 2.2) is low enough for light backgrounds, and towards white for dark ones. null
 * if CSS does not know the colour.
 * @param {string} colour
 * @returns {[light: string, dark: string] | null}
 */
export function accents(colour) {
  const probe = document.createElement('canvas').getContext('2d');
  if (!probe || !CSS.supports('color', colour)) return null;
  probe.fillStyle = colour;
  probe.fillRect(0, 0, 1, 1);
  // A gamma of 2.2 is accurate enough, and returns colours that need no change exactly.
  const rgb = [...probe.getImageData(0, 0, 1, 1).data].slice(0, 3).map((v) => (v / 255) ** 2.2);
  const light = 0.2126 * rgb[0] + 0.7152 * rgb[1] + 0.0722 * rgb[2];
  const hex = (/** @type {(v: number) => number} */ change) => {
    probe.fillStyle = `rgb(${rgb.map((part) => Math.round(255 * change(part) ** (1 / 2.2)))})`;
    return probe.fillStyle;
  };
  const paler = Math.max(0, (0.32 - light) / (1 - light));
  return [hex((v) => v * Math.min(1, 0.14 / light)), hex((v) => v + (1 - v) * paler)];
}
