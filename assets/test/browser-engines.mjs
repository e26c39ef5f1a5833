// A conversation in other browser engines: WebKit (Debian's webkit2gtk-driver, in xvfb) and an old Chromium. Run by hand before a release:
//   node assets/test/browser-engines.mjs webkit
//   node assets/test/browser-engines.mjs /path/to/an/old/chromium
// npm has packages that ship an old Chromium, such as @sparticuz/chrome-aws-lambda 14 (Chromium 102).
// Pages are driven by scripts alone, which WebDriver and the DevTools protocol of every version run.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import WebSocket from 'ws';
import { freePort } from '../../handlers/test/processes.mjs';
import { eventually, Server } from './harness.mjs';
import { Site } from './host-site.mjs';

const OPEN_SHADOW = 'const attach=Element.prototype.attachShadow;Element.prototype.attachShadow=function(o){return attach.call(this,{...o,mode:"open"})};';
const FRAME = 'document.querySelector("sohbet-chat").shadowRoot.querySelector("iframe")';
const PICTURES = process.env.PICTURES;

function launch(command, args) {
  const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'inherit'], detached: true });
  return async () => {
    try { process.kill(-child.pid, 'SIGKILL'); } catch { return; }
    if (child.exitCode === null && !child.signalCode) await once(child, 'exit');
  };
}

/** WebKit through WebDriver (W3C). */
async function webkit() {
  const port = await freePort();
  const end = launch('xvfb-run', ['-a', 'WebKitWebDriver', `--port=${port}`, '--host=127.0.0.1']);
  const call = async (method, route, body) => {
    const answer = await fetch(`http://127.0.0.1:${port}${route}`, { method, body: body && JSON.stringify(body), signal: AbortSignal.timeout(40_000) });
    const { value } = await answer.json();
    if (!answer.ok) throw new Error(`${route}: ${value.message}`);
    return value;
  };
  await eventually(() => call('GET', '/status'), 'WebKitWebDriver');
  const binary = ['4.1', '4.0', '6.0'].map((version) => `/usr/lib/${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu/webkit2gtk-${version}/MiniBrowser`).find(existsSync);
  async function context() {
    const { sessionId, capabilities } = await call('POST', '/session', { capabilities: { alwaysMatch: { 'webkitgtk:browserOptions': { binary, args: ['--automation'] } } } });
    const at = `/session/${sessionId}`;
    const run = (script) => call('POST', `${at}/execute/sync`, { script: `return (${script})`, args: [] });
    return {
      version: `${capabilities.browserName} ${capabilities.browserVersion}`,
      goto: (url) => call('POST', `${at}/url`, { url }),
      run,
      async frame() { await call('POST', `${at}/frame`, { id: await run(FRAME) }); return run; },
      picture: async () => Buffer.from(await call('GET', `${at}/screenshot`), 'base64'),
      close: () => call('DELETE', at),
    };
  }
  return { context, end };
}

/** Chromium through the DevTools protocol. */
async function chromium(executable) {
  const port = await freePort();
  const profile = mkdtempSync(path.join(tmpdir(), 'sohbet-engine-'));
  const kill = launch(executable, ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update',
    '--disable-sync', '--disable-features=IsolateOrigins,site-per-process', '--window-size=1200,800', `--user-data-dir=${profile}`, `--remote-debugging-port=${port}`, 'about:blank']);
  const version = await eventually(async () => (await fetch(`http://127.0.0.1:${port}/json/version`)).json(), 'Chromium');
  const browser = new WebSocket(version.webSocketDebuggerUrl);
  await once(browser, 'open');
  let last = 0;
  const pending = new Map();
  const listeners = new Map();
  browser.on('message', (data) => {
    const { id, result, error, method, params, sessionId } = JSON.parse(data);
    if (id) pending.get(id)?.(error ? Promise.reject(new Error(error.message)) : result);
    else listeners.get(sessionId)?.(method, params);
  });
  const call = (method, params = {}, sessionId = undefined) => new Promise((resolve) => {
    last += 1;
    pending.set(last, resolve);
    browser.send(JSON.stringify({ id: last, method, params, sessionId }));
  });
  async function context() {
    const { browserContextId } = await call('Target.createBrowserContext');
    const { targetId } = await call('Target.createTarget', { url: 'about:blank', browserContextId });
    const { sessionId } = await call('Target.attachToTarget', { targetId, flatten: true });
    const worlds = new Map();
    listeners.set(sessionId, (method, params) => {
      if (method === 'Runtime.executionContextCreated' && params.context.auxData.isDefault) worlds.set(params.context.auxData.frameId, params.context.id);
      if (method === 'Runtime.exceptionThrown') console.error(`page error: ${params.exceptionDetails.exception?.description ?? params.exceptionDetails.text}`);
    });
    for (const domain of ['Page', 'Runtime']) await call(`${domain}.enable`, {}, sessionId);
    const within = (contextId) => async (expression) => {
      const { result, exceptionDetails } = await call('Runtime.evaluate', { expression, returnByValue: true, contextId: contextId?.() }, sessionId);
      if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
      return result.value;
    };
    return {
      version: version.Browser,
      goto: (url) => call('Page.navigate', { url }, sessionId),
      run: within(),
      async frame() {
        const child = await eventually(async () => {
          const { frameTree } = await call('Page.getFrameTree', {}, sessionId);
          const id = frameTree.childFrames?.[0]?.frame.id;
          assert.ok(worlds.has(id), 'no frame');
          return id;
        }, 'frame');
        return within(() => worlds.get(child));
      },
      picture: async () => Buffer.from((await call('Page.captureScreenshot', {}, sessionId)).data, 'base64'),
      close: () => call('Target.disposeBrowserContext', { browserContextId }),
    };
  }
  return { context, end: async () => { browser.close(); await kill(); rmSync(profile, { recursive: true, force: true }); } };
}

const $ = (selector) => `document.querySelector(${JSON.stringify(selector)})`;
const click = (run, selector) => run(`${$(selector)}.click()`);
const fill = (run, selector, text) => run(`(() => { const box = ${$(selector)}; box.value = ${JSON.stringify(text)}; box.dispatchEvent(new InputEvent('input', { bubbles: true })); })()`);
const until = (run, expression, what) => eventually(async () => assert.ok(await run(expression), `${what}: not so`), what, 15_000);

async function introduce(run, name) {
  await until(run, `!!${$('#start-form button[type=submit]')}?.offsetParent`, 'the form');
  await fill(run, '#name', name);
  await click(run, '#start-form button[type=submit]');
  await until(run, `!!${$('#talk[data-connection=online]')}`, 'connected');
}
async function say(run, text) {
  await fill(run, '#text', text);
  await click(run, '#send');
  await until(run, `[...document.querySelectorAll('.message:is([data-state=sent],[data-state=delivered],[data-state=read])')].some((m) => m.textContent.includes(${JSON.stringify(text)}))`, `"${text}" sent`);
}
const hears = (run, text) => until(run, `[...document.querySelectorAll('.message .bubble')].some((m) => m.textContent.includes(${JSON.stringify(text)}))`, `"${text}" received`);

const [program] = process.argv.slice(2);
assert.ok(program, 'usage: node assets/test/browser-engines.mjs webkit | CHROMIUM');
setTimeout(() => { console.error('not done after five minutes'); process.exit(1); }, 300_000).unref();
const site = await new Site().start();
const server = await new Server({ CORS_ORIGINS: site.url }).start();
const engine = await (program === 'webkit' ? webkit() : chromium(program));
let page;
const picture = async (name) => { if (PICTURES) writeFileSync(path.join(PICTURES, `${name}.png`), await page.picture()); };
try {
  page = await engine.context();
  console.log(page.version);
  await page.goto(`${server.url}/?lang=en`);
  await introduce(page.run, 'Ada');
  await say(page.run, 'from the chat page');
  await picture('chat');
  await page.close();
  console.log('chat page: a message is sent');

  page = await engine.context();
  await page.goto(`${server.url}/login?lang=en`);
  await until(page.run, `${$('#ask-button')}?.offsetParent && document.readyState === 'complete'`, 'the sign-in page');
  await click(page.run, '#ask-button');
  await until(page.run, `!${$('#verify')}.hidden`, 'the form of the code');
  await eventually(() => server.code(), 'the code');
  await fill(page.run, '#code', server.code());
  await until(page.run, `location.pathname === '/admin' && ${$('#connection')}?.hidden`, 'the console');
  await until(page.run, `[...document.querySelectorAll('.row')].some((row) => row.textContent.includes('Ada'))`, 'the conversation in the list');
  await page.run(`[...document.querySelectorAll('.row')].find((row) => row.textContent.includes('Ada')).click()`);
  await hears(page.run, 'from the chat page');
  await say(page.run, 'from the console');
  await picture('console');
  await page.close();
  console.log('console: an agent answers');

  site.page('/', { server: server.url, head: `<script>${OPEN_SHADOW}</script>`, lang: 'en' });
  page = await engine.context();
  await page.goto(site.url);
  await until(page.run, `typeof Sohbet === 'function' && !!document.querySelector('sohbet-chat')?.shadowRoot.querySelector('.launcher')`, 'the button');
  await page.run('document.querySelector("sohbet-chat").shadowRoot.querySelector(".launcher").click()');
  await until(page.run, `!!${FRAME}`, 'the panel');
  await sleep(1000);
  const frame = await page.frame();
  await introduce(frame, 'Grace');
  await say(frame, 'from the widget');
  await picture('widget');
  await page.close();
  console.log('widget: a message is sent');
} catch (error) {
  if (page) await picture('failed').catch(() => {});
  throw error;
} finally {
  await engine.end();
  await site.stop();
  await server.kill('SIGTERM');
}
