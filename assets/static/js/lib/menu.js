// A drop-down menu: a <details> that closes on a choice, a click elsewhere, or Escape.

/** @param {HTMLDetailsElement} node */
export function menu(node) {
  const summary = /** @type {HTMLElement} */ (node.querySelector('summary'));
  document.addEventListener('click', (event) => {
    const target = /** @type {Element} */ (event.target);
    if (!node.contains(target) || target.closest('a[href], button:not([role="switch"])')) node.open = false;
  });
  node.addEventListener('keydown', (event) => {
    if (event.key === 'Escape' && node.open) {
      event.stopPropagation();
      node.open = false;
      summary.focus();
      return;
    }
    const step = /** @type {Lookup<number>} */ ({ ArrowDown: 1, ArrowUp: -1 })[event.key];
    if (!step || !node.open) return;
    event.preventDefault();
    const items = [.../** @type {NodeListOf<HTMLElement>} */ (node.querySelectorAll('.menu-sheet :is(a, button)'))].filter((item) => item.offsetParent);
    const at = items.indexOf(/** @type {HTMLElement} */ (document.activeElement));
    items.at(at < 0 ? (step > 0 ? 0 : -1) : (at + step) % items.length)?.focus();
  });
  node.addEventListener('focusout', (event) => { if (event.relatedTarget instanceof Node && !node.contains(event.relatedTarget)) node.open = false; });
  return { close: () => { node.open = false; } };
}
