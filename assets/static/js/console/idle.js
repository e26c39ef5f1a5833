// Tells the server that this console had no input for a while, which shows its agent as away to the others.

const INPUT = ['pointerdown', 'pointermove', 'keydown', 'wheel', 'touchstart'];

/** @param {() => void} changed called when this console becomes idle, and when that ends */
export function idleness(changed) {
  let idle = false;
  let last = Date.now();
  let limit = 0; // ms; 0 = never
  let timer = 0;

  function check() {
    clearTimeout(timer);
    if (!limit || idle) return;
    const left = last + limit - Date.now();
    if (left > 0) {
      timer = setTimeout(check, left);
      return;
    }
    idle = true;
    changed();
  }

  for (const type of INPUT) {
    document.addEventListener(type, (event) => {
      // What moves below a resting pointer is no input.
      if (event instanceof PointerEvent && event.type === 'pointermove' && !event.movementX && !event.movementY) return;
      last = Date.now();
      if (!idle) return;
      idle = false;
      changed();
      check();
    }, { passive: true, capture: true });
  }

  return {
    get idle() { return idle; },
    /** @param {number} seconds 0 = never */
    after(seconds) {
      limit = seconds * 1000;
      if (!limit) idle = false;
      check();
    },
  };
}
