// What the browser tests stand on: the real binary on a free port with a data
// folder of its own, real Chromium, and visitors and agents that act like people.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { freePort, started } from '../../handlers/test/programs.mjs';

const root = path.join(path.dirname(fileURLToPath(import.meta.url)), '..', '..');
const scratch = mkdtempSync(path.join(tmpdir(), 'sohbet-browser-'));
process.on('exit', () => rmSync(scratch, { recursive: true, force: true }));

let built = process.env.SOHBET_BIN;

/** The binary under test: SOHBET_BIN, or built once. */
function binary() {
  if (!built) {
    const out = path.join(scratch, 'sohbet');
    execFileSync('go', ['build', '-o', out, '.'], { cwd: root, stdio: 'inherit' });
    built = out;
  }
  return path.resolve(built);
}

/** Tries until check() no longer throws, and gives back what it gave. */
export async function eventually(check, what = 'condition', within = 20_000) {
  const end = Date.now() + within;
  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (Date.now() > end) throw new Error(`${what} did not come true: ${error.message}`, { cause: error });
      await sleep(50);
    }
  }
}

/** How long what is closed may take, in ms. */
const STOP = 20_000;

/** One server. Its port and data folder survive kill() and start(). */
export class Server {
  #child = null;
  #env;
  log = '';

  constructor(env = {}) { this.#env = env; }

  async start() {
    this.port ??= await freePort();
    this.data ??= mkdtempSync(path.join(scratch, 'data-'));
    this.url = `http://127.0.0.1:${this.port}`;
    const child = started(binary(), [], {
      cwd: this.data,
      env: {
        PATH: process.env.PATH, HOME: this.data, HOST: '127.0.0.1', PORT: String(this.port), DATA_DIR: this.data, LOG_FORMAT: 'text',
        RATE_LIMIT_MESSAGE: 'off', RATE_LIMIT_API: 'off', RATE_LIMIT_LOGIN: 'off', RATE_LIMIT_UPLOAD: 'off', ...this.#env,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => { this.log += text; });
    this.#child = child;
    await eventually(async () => {
      if (child.exitCode !== null) throw new Error(`server ended: ${this.log}`);
      assert.equal((await fetch(`${this.url}/health/live`)).status, 200);
    }, 'server start');
    return this;
  }

  /** SIGKILL is a crash, SIGTERM a stop. */
  async kill(signal = 'SIGKILL') {
    if (!this.#child || this.#child.exitCode !== null || this.#child.signalCode) return;
    const child = this.#child;
    const gone = once(child, 'exit');
    child.kill(signal);
    const late = setTimeout(() => child.kill('SIGKILL'), STOP);
    await gone;
    clearTimeout(late);
    assert.ok(child.signalCode !== 'SIGKILL' || signal === 'SIGKILL', `the server did not stop within ${STOP} ms; its log ends:\n${this.log.slice(-4000)}`);
  }

  async restart(signal = 'SIGKILL') {
    await this.kill(signal);
    await this.start();
  }

  /** The newest one-time code in the log. */
  code() {
    const codes = [...this.log.matchAll(/SIGN-IN CODE.*?code=(\d{6})/g)];
    assert.ok(codes.length, 'no code in the log yet');
    return codes.at(-1)[1];
  }
}

export const PHONE = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };
export const DESK = { viewport: { width: 1440, height: 900 } };

/** How Chromium is started: the headless shell where it is installed, which needs half of the CPU time. */
export const CHROMIUM = {
  executablePath: process.env.CHROMIUM_SHELL ?? process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync',
    // A microphone that hums, and that nobody has to be asked for.
    '--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream'],
};

/** The full Chromium, for tests that need profiles, preferences or the back/forward cache. */
export const DESKTOP_CHROMIUM = { ...CHROMIUM, executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium' };

/** Waits for what Chromium closes, but not for ever: that it hangs says nothing of what was tested, and it ends with this process. */
async function inTime(what, closing) {
  const late = sleep(STOP, 'late', { ref: false });
  if (await Promise.race([closing, late]) === 'late') console.error(`${process.argv[1]}: ${what} did not close within ${STOP} ms`);
}

/** Chromium and a server for one test file; `close` ends both. */
export async function house(env, program = CHROMIUM) {
  const server = await new Server(env).start();
  const browser = await chromium.launch(program).catch(async (error) => {
    await server.kill();
    throw error;
  });
  const complaints = [];
  const guests = new Set();
  /** Addresses that pages may ask: the server's, and those of sites that embed the chat. */
  const hosts = [server.url];

  /** A browser of one's own, whose errors and requests to other hosts are held against the pages. */
  async function person(options = {}, inBrowser = browser) {
    const context = await inBrowser.newContext({ locale: 'tr-TR', timezoneId: 'Europe/Istanbul', baseURL: server.url, serviceWorkers: 'block', ...DESK, ...options });
    context.on('request', (request) => {
      if (!hosts.some((host) => request.url().startsWith(`${host}/`)) && !/^(data|blob):/.test(request.url())) complaints.push(`request to ${request.url()}`);
    });
    context.on('console', (message) => {
      const text = message.text();
      // A killed server and a refused request are told in the console too; both are part of these tests.
      if (message.type() === 'error' && !/ERR_|WebSocket connection|Failed to load resource/.test(text)) complaints.push(`console: ${text}`);
    });
    guests.add(context);
    context.on('close', () => guests.delete(context));
    context.on('weberror', (error) => complaints.push(`page error: ${error.error().message} ${error.error().stack}`));
    return context;
  }

  /** Closes every person's browser but those of `residents`, lest the pages of a test that is over eat the time of the next. */
  async function leave(...residents) {
    await inTime('pages of a test', Promise.all([...guests].filter((context) => !residents.includes(context)).map((context) => context.close())));
  }

  async function close() {
    try {
      await inTime('Chromium', browser.close());
    } finally {
      await server.kill('SIGTERM');
    }
    assert.deepEqual(complaints, [], 'pages must not complain');
  }

  return { browser, server, person, leave, hosts, complaints, close };
}

// --- what people do -----------------------------------------------------------

/** Opens the visitor's page and gives a name. */
export async function visit(context, name, { lang = 'tr', phone = '' } = {}) {
  const page = await context.newPage();
  await page.goto(`/?lang=${lang}`);
  await page.fill('#name', name);
  if (phone) {
    await page.click('.extra summary');
    await page.fill('#phone', phone);
  }
  await page.click('#start-form button[type=submit]');
  await connected(page);
  return page;
}

/** What the next page of this browser hears: events of the server are lost while it is `deaf` (answers are not), and `hear` makes one up. */
export async function earsOf(context) {
  const ears = { deaf: false };
  await context.routeWebSocket(/socket\.io/, (socket) => {
    const server = socket.connectToServer();
    socket.onMessage((frame) => server.send(frame));
    server.onMessage((frame) => { if (!ears.deaf || !String(frame).startsWith('42["')) socket.send(frame); });
    ears.hear = (...event) => socket.send(`42${JSON.stringify(event)}`);
  });
  return ears;
}

/** Waits until the page says that it is connected. */
export const connected = (page) => page.waitForSelector('#talk[data-connection=online]');

/** Signs in with the code from the server's log, and lands in the console. */
export async function signIn(context, server, { lang = 'tr' } = {}) {
  const page = await context.newPage();
  await page.goto(`/login?lang=${lang}`);
  const before = server.log.length;
  await page.click('#ask-button');
  await page.waitForSelector('#verify:not([hidden])');
  await eventually(() => assert.match(server.log.slice(before), /SIGN-IN CODE/), 'code in the log');
  await page.fill('#code', server.code());
  await page.waitForURL('**/admin');
  await page.waitForSelector('#connection', { state: 'hidden' });
  return page;
}

/** Writes into the composer and presses Enter. */
export async function say(page, text) {
  await page.locator('#text').fill(text);
  await page.locator('#text').press('Enter');
}

/** Writes many, one right after the other, where it does not matter how they come into the box. */
export const sayAll = (page, lines) => page.evaluate((all) => {
  const box = document.getElementById('text');
  for (const line of all) {
    box.value = line;
    box.dispatchEvent(new InputEvent('input', { bubbles: true }));
    box.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', bubbles: true, cancelable: true }));
  }
}, lines);

/** The texts of all bubbles, in order. */
export const texts = (page) => page.locator('.message .bubble').allTextContents();

/** Waits until the page shows exactly these bubbles. */
export const shows = (page, expected, within) => eventually(async () => assert.deepEqual(await texts(page), expected), `bubbles ${JSON.stringify(expected).slice(0, 200)}`, within);

/** The state of the bubble with this text: waiting, sending, sent, delivered, read, failed, received. */
export const stateOf = (page, text) => page.locator('.message', { hasText: text }).last().getAttribute('data-state');

/** States of a message that the server has: how soon it is delivered is up to who else is there. */
export const STORED = /^(sent|delivered|read)$/;
export const STORED_MESSAGE = '.message:is([data-state=sent], [data-state=delivered], [data-state=read])';

/** Whether nothing makes the page wider than its screen. A phone widens innerWidth to what does, so that alone would never tell. */
export const fits = (page) => page.evaluate(() => document.documentElement.scrollWidth <= document.documentElement.clientWidth);

/** Opens the thread of this visitor in the console. */
export async function openThread(page, name) {
  await eventually(async () => {
    await page.locator('.row', { hasText: name }).first().click(); // a row above it may come between, and take the click
    assert.ok((await page.textContent('#head-name')).includes(name));
  }, `the conversation with ${name} open`);
  await page.waitForSelector('#conversation:not([hidden])');
}

/** Fills the server's database with conversations; `-threads` and `-history` as assets/test/seed/main.go has them. */
export function seed(server, ...args) {
  execFileSync('go', ['run', './assets/test/seed', ...args], { cwd: root, stdio: 'inherit', env: { ...process.env, DATA_DIR: server.data } });
}

/** Does one of the things in the menu above the open conversation: 'export', 'block' or 'clear'. */
export async function act(page, what) {
  await page.click('#talk-menu summary');
  await page.click(`#${what}`);
}

/** Deletes the open conversation, and does not wait for the time in which it could be brought back: as leaving the page and coming back does. */
export async function removeThread(page) {
  await act(page, 'clear');
  await page.evaluate(() => {
    window.dispatchEvent(new PageTransitionEvent('pagehide', { persisted: true }));
    window.dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }));
  });
}
