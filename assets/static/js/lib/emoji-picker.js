// A small emoji picker for keyboards that have none. Loaded when it is first opened.
import { byId, make, styles } from './dom.js';
import { t } from './i18n.js';

await styles('composer-tools');

const ROWS = [
  ...'😀😃😄😁😅😂🙂😉😊😍🥰😘😋😎🤩🥳🤔😐🙄😴😮😢😭😡🥺😱🤯🤒🤷🤦',
  ...'👍👎👌👏🙌🙏💪👋🤝👀💡🔥⭐🎉🎁🏆💯✅❌❓❗💬📌📎📷📞💳📦🚚🕒',
  ...'🧡💛💚💙💜🖤💔🌹🌷🌞🌙🌧⛄🍀☕🍵🍰🍕🐱🐶🦋🏠🚗✈',
].map((one) => (/\p{Emoji_Presentation}/u.test(one) ? one : `${one}\uFE0F`));
const WIDE = 10;

/** @type {ReturnType<typeof build> | null} */
let panel = null;

/** @param {string} text */
function insert(text) {
  const box = byId('text');
  box.setRangeText(text, box.selectionStart, box.selectionEnd, 'end');
  box.dispatchEvent(new Event('input', { bubbles: true }));
}

/** @param {HTMLElement} button */
function build(button) {
  const keys = ROWS.map((one, i) => make('button', { type: 'button', tabIndex: i ? -1 : 0, onclick: () => insert(one) }, one));
  const box = make('div', { className: 'emoji', id: 'emoji-panel', attrs: { role: 'group', 'aria-label': t('talk.emoji') } }, ...keys);
  const close = () => {
    box.hidden = true;
    button.setAttribute('aria-expanded', 'false');
  };
  box.addEventListener('keydown', (event) => {
    if (event.key === 'Escape') {
      event.stopPropagation();
      close();
      byId('text').focus({ preventScroll: true });
      return;
    }
    const rtl = document.documentElement.dir === 'rtl' ? -1 : 1;
    const at = keys.indexOf(/** @type {HTMLButtonElement} */ (document.activeElement));
    /** @type {Lookup<number>} */
    const targets = { ArrowRight: at + rtl, ArrowLeft: at - rtl, ArrowDown: at + WIDE, ArrowUp: at - WIDE, Home: 0, End: keys.length - 1 };
    const to = targets[event.key];
    if (to === undefined || !keys[to]) return;
    event.preventDefault();
    keys[at].tabIndex = -1;
    keys[to].tabIndex = 0;
    keys[to].focus();
  });
  document.addEventListener('pointerdown', ({ target }) => { if (!box.hidden && target instanceof Node && !box.contains(target) && !button.contains(target)) close(); });
  byId('composer').addEventListener('submit', close);
  button.before(box);
  return { box, keys, close };
}

/** Opens the picker next to its button, or closes it. @param {HTMLElement} button */
export function toggle(button) {
  panel ??= build(button);
  const open = panel.box.hidden || button.getAttribute('aria-expanded') !== 'true';
  if (!open) {
    panel.close();
    return;
  }
  panel.box.hidden = false;
  button.setAttribute('aria-expanded', 'true');
  panel.keys.find((key) => key.tabIndex === 0)?.focus({ preventScroll: true });
}
