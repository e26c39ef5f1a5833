// `make paint`: paint times of each page on a simulated slow phone (4 times slower CPU, 1.6 Mbit/s, 150 ms round trip), read from
// the browser's performance entries; the best of ROUNDS (3) visits, each with an empty cache. Exits with 1 if a largest
// contentful paint takes over a second or the layout shifts. Not part of CI, because times depend on the machine's load.
import { DESK, startEnv, PHONE, say, shows, signIn, visit } from './harness.mjs';
import { chat, launcher, openUp, panel, Site } from './host-site.mjs';
import { count, paints, sum, watchPaints } from './page-cost.mjs';

const ROUNDS = Number(process.env.ROUNDS ?? 3);
const LIMIT = 1_000;

const site = await new Site('127.0.0.1').start();
const env = await startEnv({ CORS_ORIGINS: site.url });
site.page('*', { server: env.server.url });
site.page('/bare', { server: env.server.url, attributes: 'type="text/plain"' });

async function slow(page) {
  const wire = await count(page);
  await wire.cdp.send('Network.emulateNetworkConditions', { offline: false, latency: 150, downloadThroughput: 1.6e6 / 8, uploadThroughput: 750e3 / 8 });
  await wire.cdp.send('Emulation.setCPUThrottlingRate', { rate: 4 });
  return wire;
}

/** Milliseconds that the page's main thread was busy, as measured by the browser. */
async function busy(wire) {
  const { metrics } = await wire.cdp.send('Performance.getMetrics');
  return metrics.find(({ name }) => name === 'TaskDuration').value * 1000;
}

const stages = {};
for (const [device, size] of [['phone', PHONE], ['desk', DESK]]) {
  for (const path of ['/', '/login', '/admin', '/admin/diagnostics']) {
    stages[`${path}, ${device}`] = async () => {
      const context = await env.newContext(size);
      if (path.startsWith('/admin')) await (await signIn(context, env.server)).close();
      await watchPaints(context);
      const page = await context.newPage();
      const wire = await slow(page);
      await wire.cdp.send('Network.setCacheDisabled', { cacheDisabled: true });
      await page.goto(path);
      await page.waitForLoadState('networkidle');
      const seen = await paints(page);
      await context.close();
      return { lcp: seen.lcp, fcp: seen.fcp, cls: seen.cls, shifts: seen.shifts, bytes: sum(wire.take()) };
    };
  }
  stages[`a conversation of fifty messages, ${device}`] = async () => {
    const context = await env.newContext(size);
    const visitor = await visit(context, 'Yavaş Ağ');
    const lines = Array.from({ length: 50 }, (_, i) => `satır ${i}`);
    for (const line of lines) await say(visitor, line);
    await visitor.waitForFunction(() => document.querySelectorAll('.message[data-state=waiting], .message[data-state=sending]').length === 0);
    await watchPaints(context);
    const wire = await slow(visitor);
    await wire.cdp.send('Network.setCacheDisabled', { cacheDisabled: true });
    await visitor.reload();
    await shows(visitor, lines, 20_000);
    const seen = await paints(visitor);
    await context.close();
    return { lcp: seen.lcp, fcp: seen.fcp, cls: seen.cls, shifts: seen.shifts, bytes: sum(wire.take()) };
  };
  stages[`the widget, ${device}`] = async () => {
    const context = await env.newContext(size);
    await openUp(context);
    await watchPaints(context);
    const page = await context.newPage();
    const wire = await slow(page);
    await wire.cdp.send('Performance.enable', { timeDomain: 'threadTicks' });
    const visited = async (path) => {
      await page.goto(site.url + path);
      await page.waitForLoadState('networkidle');
      return busy(wire);
    };
    // Compared to the same page without the widget, and without CPU throttling, as a site's owner would measure it.
    await wire.cdp.send('Emulation.setCPUThrottlingRate', { rate: 1 });
    await visited('/bare');
    const without = await visited('/bare');
    const cost = await visited('/') - without;
    await wire.cdp.send('Emulation.setCPUThrottlingRate', { rate: 4 });
    await launcher(page).waitFor();
    const host = await paints(page);
    wire.take();
    /** Milliseconds from the click on the button to the first frame with the open panel or the chat in it. */
    const press = (there) => page.evaluate((what) => new Promise((resolve) => {
      const root = document.querySelector('sohbet-chat').shadowRoot;
      const start = performance.now();
      root.querySelector('.launcher').click();
      const look = () => {
        const open = getComputedStyle(root.querySelector('.panel')).visibility === 'visible';
        const chatThere = root.querySelector('.wait').hidden && root.activeElement?.tagName === 'IFRAME';
        if (open && (what === 'panel' || chatThere)) requestAnimationFrame(() => resolve(performance.now() - start));
        else requestAnimationFrame(look);
      };
      look();
    }), there);
    const first = await press('chat');
    await chat(page).locator('#start-form button[type=submit]').waitFor();
    await page.waitForLoadState('networkidle');
    const inside = await paints(page.frames()[1]);
    const bytes = sum(wire.take());
    await page.evaluate(() => window.Sohbet('close'));
    await panel(page).waitFor({ state: 'hidden' });
    const again = await press('chat');
    await context.close();
    return { lcp: inside.lcp, fcp: inside.fcp, cls: host.cls + inside.cls, shifts: [...host.shifts, ...inside.shifts], bytes, cost, first, again };
  };
}

let failed = false;
try {
  for (const [name, stage] of Object.entries(stages)) {
    let best = null;
    for (let i = 0; i < ROUNDS; i++) {
      const seen = await stage();
      best = !best ? seen : { ...(seen.lcp < best.lcp ? seen : best), cost: Math.min(seen.cost, best.cost), first: Math.min(seen.first, best.first), again: Math.min(seen.again, best.again) };
    }
    const wrong = [best.lcp > LIMIT && `largest paint after ${LIMIT} ms`, best.cls > 0 && `moved: ${best.shifts.join('; ')}`].filter(Boolean);
    failed ||= wrong.length > 0;
    console.log(`${name}: first paint ${Math.round(best.fcp)} ms, largest ${Math.round(best.lcp)} ms, shift ${best.cls.toFixed(4)}, ${(best.bytes / 1000).toFixed(1)} kB${best.first ? `, main thread for the loader ${Math.round(best.cost)} ms, first opening ${Math.round(best.first)} ms, again ${Math.round(best.again)} ms` : ''}${wrong.length ? `  <- ${wrong.join(', ')}` : ''}`);
  }
} finally {
  await env.browser.close();
  await env.server.kill('SIGTERM');
  await site.stop();
}
process.exitCode = failed ? 1 : 0;
