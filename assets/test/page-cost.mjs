// Measurements from the browser: transferred bytes, requests, paint times and layout shifts.

/** Makes the browser accept only gzip, and records responses until the page's context is closed. */
export async function count(page) {
  const cdp = await page.context().newCDPSession(page);
  await cdp.send('Network.enable');
  await cdp.send('Network.setExtraHTTPHeaders', { headers: { 'Accept-Encoding': 'gzip' } });
  const answers = new Map();
  let list = [];
  cdp.on('Network.responseReceived', ({ requestId, response }) => {
    answers.set(requestId, { url: response.url, encoding: response.headers['Content-Encoding'] ?? response.headers['content-encoding'] ?? '', head: response.encodedDataLength });
  });
  cdp.on('Network.loadingFinished', ({ requestId, encodedDataLength }) => {
    const answer = answers.get(requestId);
    if (answer && !/^(data|blob):/.test(answer.url)) list.push({ ...answer, bytes: encodedDataLength - answer.head });
  });
  return {
    cdp,
    /** Returns the responses since the last call: {url, encoding, bytes: size of the body, head: size of the headers}. */
    take() {
      const taken = list;
      list = [];
      return taken;
    },
  };
}

export const sum = (answers, what = 'bytes') => answers.reduce((n, answer) => n + answer[what], 0);

/** Records paints and layout shifts from the start of each page; paints() returns them. */
export const watchPaints = (context) => context.addInitScript(() => {
  const seen = { lcp: 0, fcp: 0, first: Infinity, moved: [] };
  globalThis.paintsSeen = seen;
  const watch = (type, fn) => new PerformanceObserver((all) => all.getEntries().forEach(fn)).observe({ type, buffered: true });
  watch('largest-contentful-paint', (entry) => { seen.lcp = entry.startTime; });
  watch('paint', (entry) => { seen[entry.name === 'first-paint' ? 'first' : 'fcp'] = entry.startTime; });
  watch('layout-shift', (entry) => {
    seen.moved.push({ at: entry.startTime, by: entry.value, what: entry.sources.map(({ node, previousRect: from, currentRect: to }) => `${node?.nodeName}.${node?.className ?? ''} ${from.x},${from.y} -> ${to.x},${to.y}`) });
  });
});

/**
 * Returns {lcp, fcp (ms), cls, shifts} of a page or frame. Shifts before the first paint are ignored: browsers also report what a
 * frame lays out before its styles are loaded, which is never painted.
 */
export async function paints(page) {
  const { lcp, fcp, first, moved } = await page.evaluate(() => new Promise((resolve) => {
    requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(() => resolve(globalThis.paintsSeen), 100)));
  }));
  const visible = moved.filter(({ at }) => at >= first);
  return { lcp, fcp, cls: visible.reduce((n, { by }) => n + by, 0), shifts: visible.flatMap(({ what }) => what) };
}
