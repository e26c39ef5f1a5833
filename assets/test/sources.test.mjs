// A program built by `go build` alone, without `go generate ./assets`, serves the sources as they are: every page works in a current browser.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = path.join(path.dirname(fileURLToPath(import.meta.url)), '..', '..');
const folder = mkdtempSync(path.join(tmpdir(), 'sohbet-sources-'));
let env;
let shop;
let people; // harness.mjs, which takes the program from the environment
let site;
before(async () => {
  // An overlay hides the built files from the compiler.
  const dist = path.join(root, 'assets', 'dist');
  const hidden = readdirSync(dist, { recursive: true }).map((name) => path.join(dist, name)).filter((name) => statSync(name).isFile() && path.basename(name) !== '.keep');
  writeFileSync(path.join(folder, 'overlay.json'), JSON.stringify({ Replace: Object.fromEntries(hidden.map((name) => [name, ''])) }));
  process.env.SOHBET_BIN = path.join(folder, 'sohbet');
  execFileSync(process.env.GO ?? 'go', ['build', '-buildvcs=false', '-ldflags=-s -w', '-overlay', path.join(folder, 'overlay.json'), '-o', process.env.SOHBET_BIN, '.'], { cwd: root, stdio: 'inherit', timeout: 300_000 });
  people = await import('./harness.mjs');
  site = await import('./host-site.mjs');
  shop = await new site.Site().start();
  env = await people.startEnv({ CORS_ORIGINS: shop.url });
  env.hosts.push(shop.url);
  shop.page('/', { server: env.server.url });
});
after(async () => {
  await env?.close();
  await shop?.stop();
  rmSync(folder, { recursive: true, force: true });
});

test('chat page, console and widget work from the sources', async () => {
  const visitor = await people.visit(await env.newContext(), 'Kaynak');
  assert.match(await visitor.content(), /js\/visitor\.js/);
  await people.say(visitor, 'merhaba');
  const agent = await people.signIn(await env.newContext(), env.server);
  await people.openThread(agent, 'Kaynak');
  await people.say(agent, 'buyurun');
  await people.shows(visitor, ['merhaba', 'buyurun']);
  await visitor.click('#attach'); // a module that is loaded later
  const context = await env.newContext();
  await site.openUp(context);
  const page = await context.newPage();
  await page.goto(shop.url);
  await site.launcher(page).click();
  await site.introduce(page, 'Vitrin');
  await site.chat(page).locator('#text').fill('fiyatı ne?');
  await site.chat(page).locator('#text').press('Enter');
  await people.openThread(agent, 'Vitrin');
  await people.shows(agent, ['fiyatı ne?']);
});

test('the other pages are whole', async () => {
  const context = await env.newContext();
  const page = await context.newPage();
  for (const address of ['/login', '/offline', '/nothing-here']) {
    await page.goto(address);
    assert.ok(await page.locator('svg.sprite symbol').count() > 20, address);
    assert.notEqual(await page.evaluate(() => getComputedStyle(document.documentElement).getPropertyValue('--paper')), '', address);
  }
});
