// Which page of the site this is, and when it becomes another one without being loaded.

/**
 * Whether a path is among the patterns: paths with spaces or commas between them, where * stands for anything.
 * @param {string|undefined} patterns such as "/checkout /account/*"
 */
export function hiddenOn(patterns, path) {
  return (patterns ?? '').split(/[\s,]+/).some((pattern) => {
    if (!pattern) return false;
    // Each part at its first place after the one before; the last one at the end.
    const [first, ...parts] = pattern.split('*');
    if (!parts.length || !path.startsWith(first)) return pattern === path;
    const last = parts.pop();
    let from = first.length;
    for (const part of parts) {
      const found = path.indexOf(part, from);
      if (found < 0) return false;
      from = found + part.length;
    }
    return path.length - last.length >= from && path.endsWith(last);
  });
}

/** Runs fn after the site has gone to another page by itself, when it had a moment to change the title. */
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
    for (const name of ['pushState', 'replaceState']) {
      const before = history[name];
      history[name] = function (...args) {
        before.apply(this, args);
        check();
      };
    }
    for (const event of ['popstate', 'hashchange']) window.addEventListener(event, check);
  }
  window.addEventListener('pageshow', check);
}
