// localStorage or sessionStorage if available, memory otherwise (private windows, blocked cookies, full disk): the page behaves
// the same until it is closed.

class Memory {
  /** @type {Map<string, string>} */
  #map = new Map();
  /** @param {string} key */
  getItem(key) { return this.#map.get(key) ?? null; }
  /** @param {string} key @param {string} value */
  setItem(key, value) { this.#map.set(key, value); }
  /** @param {string} key */
  removeItem(key) { this.#map.delete(key); }
  /** @param {number} i */
  key(i) { return [...this.#map.keys()][i] ?? null; }
  get length() { return this.#map.size; }
}

/** @param {'localStorage' | 'sessionStorage'} name */
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

/**
 * JSON values by key, with a common key prefix.
 * @template {object} Values the type of each key's value
 */
export class BrowserStorage {
  #area;
  #spare = new Memory();
  #prefix;

  /** @param {'localStorage'|'sessionStorage'} area @param {string} prefix */
  constructor(area, prefix) {
    this.#area = usable(area) ?? this.#spare;
    this.#prefix = prefix;
  }

  /** Whether values survive the page. */
  get lasting() { return this.#area !== this.#spare; }

  /** @template {keyof Values & string} Key @param {Key} key @returns {Values[Key] | null} */
  get(key) {
    const full = this.#prefix + key;
    try {
      const text = this.#spare.getItem(full) ?? this.#area.getItem(full);
      return text === null ? null : JSON.parse(text);
    } catch {
      return null;
    }
  }

  /** @template {keyof Values & string} Key @param {Key} key @param {Values[Key]} value */
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

  /** @param {string} key */
  remove(key) {
    const full = this.#prefix + key;
    this.#spare.removeItem(full);
    try { this.#area.removeItem(full); } catch { /* the storage is no longer available */ }
  }

  /** Keys that begin with `start`, without the prefix. */
  keys(start = '') {
    /** @type {Set<string>} */
    const found = new Set();
    for (const area of [this.#area, this.#spare]) {
      try {
        for (let i = 0; i < area.length; i++) {
          const key = area.key(i);
          if (key?.startsWith(this.#prefix + start)) found.add(key.slice(this.#prefix.length));
        }
      } catch { /* the storage became unavailable while the page is open */ }
    }
    return [...found];
  }

  /** Calls fn(key, value|null) when another tab changes a value with this prefix. @param {(key: string, value: unknown) => void} fn */
  watch(fn) {
    window.addEventListener('storage', (event) => {
      if (!event.key?.startsWith(this.#prefix)) return;
      let value = null;
      try { value = event.newValue === null ? null : JSON.parse(event.newValue); } catch { /* not JSON */ }
      fn(event.key.slice(this.#prefix.length), value);
    });
  }
}
