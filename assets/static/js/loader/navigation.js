// On which pages of the site the widget is hidden, and detection of navigation without a page load.

/**
 * Whether a path matches one of the patterns, which are paths separated by spaces or commas; * matches anything.
 * @param {string|undefined} patterns such as "/checkout /account/*"
 * @param {string} path
 */
export function hiddenOn(patterns, path) {
  return (patterns ?? '').split(/[\s,]+/).some((pattern) => {
    if (!pattern) return false;
    // Each part must occur after the previous one, and the last one at the end.
    const [first, ...parts] = pattern.split('*');
    if (!parts.length || !path.startsWith(first)) return pattern === path;
    const last = parts.pop() ?? '';
    let from = first.length;
    for (const part of parts) {
      const found = path.indexOf(part, from);
      if (found < 0) return false;
      from = found + part.length;
    }
    return path.length - last.length >= from && path.endsWith(last);
  });
}

/** Calls fn after client-side navigation, with a delay in which the site may set the new title. @param {() => void} fn */
export function onNavigation(fn) {
  let last = location.href;
  let timer = 0;
  const check = () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      if (location.href === last) return;
      last = location.href;
      fn();
    }, 50);
  };
  if (window.navigation) window.navigation.addEventListener('currententrychange', check);
  else {
    for (const name of /** @type {const} */ (['pushState', 'replaceState'])) {
      const before = history[name];
      history[name] = function (/** @type {Parameters<History['pushState']>} */ ...args) {
        before.apply(this, args);
        check();
      };
    }
    for (const event of ['popstate', 'hashchange']) window.addEventListener(event, check);
  }
  window.addEventListener('pageshow', check);
}
