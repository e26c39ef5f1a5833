// localStorage where it works, memory where it does not (private windows,
// blocked cookies, full disk): the page behaves the same until it is closed.

class Memory {
  #map = new Map();
  getItem(key) { return this.#map.get(key) ?? null; }
  setItem(key, value) { this.#map.set(key, value); }
  removeItem(key) { this.#map.delete(key); }
  key(i) { return [...this.#map.keys()][i] ?? null; }
  get length() { return this.#map.size; }
}

function usable(name) {
  try {
    const area = window[name];
    area.setItem('sohbet.probe', '1');
    area.removeItem('sohbet.probe');
    return area;
  } catch {
    return null;
  }
}

/** JSON values by key, all below one prefix. */
export class Store {
  #area;
  #spare = new Memory();
  #prefix;

  /** @param {'localStorage'|'sessionStorage'} area */
  constructor(area, prefix) {
    this.#area = usable(area) ?? this.#spare;
    this.#prefix = prefix;
  }

  /** What is kept here outlives the page. */
  get lasting() { return this.#area !== this.#spare; }

  get(key) {
    const full = this.#prefix + key;
    try {
      const text = this.#spare.getItem(full) ?? this.#area.getItem(full);
      return text === null ? null : JSON.parse(text);
    } catch {
      return null;
    }
  }

  set(key, value) {
    const full = this.#prefix + key;
    const text = JSON.stringify(value);
    try {
      this.#area.setItem(full, text);
      this.#spare.removeItem(full);
    } catch {
      this.#spare.setItem(full, text);
    }
  }

  remove(key) {
    const full = this.#prefix + key;
    this.#spare.removeItem(full);
    try { this.#area.removeItem(full); } catch { /* gone with the storage */ }
  }

  /** Keys below the prefix that begin with `start`. */
  keys(start = '') {
    const found = new Set();
    for (const area of [this.#area, this.#spare]) {
      try {
        for (let i = 0; i < area.length; i++) {
          const key = area.key(i);
          if (key?.startsWith(this.#prefix + start)) found.add(key.slice(this.#prefix.length));
        }
      } catch { /* storage was taken away while the page is open */ }
    }
    return [...found];
  }

  /** Calls fn(key, value|null) when another tab changes something below the prefix. */
  watch(fn) {
    window.addEventListener('storage', (event) => {
      if (!event.key?.startsWith(this.#prefix)) return;
      let value = null;
      try { value = event.newValue === null ? null : JSON.parse(event.newValue); } catch { /* not ours */ }
      fn(event.key.slice(this.#prefix.length), value);
    });
  }
}
