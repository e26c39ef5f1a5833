// The basis of the browser tests: the real binary on a free port with its own data folder, real Chromium, and helpers for what
// visitors and agents do.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { freePort, started } from '../../handlers/test/processes.mjs';

const root = path.join(path.dirname(fileURLToPath(import.meta.url)), '..', '..');
const scratch = mkdtempSync(path.join(tmpdir(), 'sohbet-browser-'));
process.on('exit', () => rmSync(scratch, { recursive: true, force: true }));

let built = process.env.SOHBET_BIN;

/** The path of the binary under test: SOHBET_BIN, otherwise built once. */
function binary() {
  if (!built) {
    const out = path.join(scratch, 'sohbet');
    execFileSync('go', ['build', '-o', out, '.'], { cwd: root, stdio: 'inherit' });
    built = out;
  }
  return path.resolve(built);
}

const SLOW = 3; // as many times slower may a machine be that runs the tests

/** Repeats check() until it does not throw, and returns its result. `within` is in ms of a usual machine. */
export async function eventually(check, what = 'condition', within = 20_000) {
  const end = Date.now() + SLOW * within;
  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (Date.now() > end) throw new Error(`${what} did not come true: ${error.message}`, { cause: error });
      await sleep(50);
    }
  }
}

/** Time limit for closing a server or browser, in ms. */
const STOP = 20_000;

/** A server process. Port and data folder stay the same after kill() and start(). */
export class Server {
  #child = null;
  #settings;
  log = '';

  constructor(settings = {}) { this.#settings = settings; }

  async start() {
    this.port ??= Number(this.#settings.PORT) || await freePort();
    this.data ??= mkdtempSync(path.join(scratch, 'data-'));
    this.url = `http://127.0.0.1:${this.port}`;
    const child = started(binary(), [], {
      cwd: this.data,
      env: {
        PATH: process.env.PATH, HOME: this.data, HOST: '127.0.0.1', PORT: String(this.port), DATA_DIR: this.data, LOG_FORMAT: 'text',
        RATE_LIMIT_MESSAGE: 'off', RATE_LIMIT_API: 'off', RATE_LIMIT_LOGIN: 'off', RATE_LIMIT_UPLOAD: 'off', ...this.#settings,
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

  /** SIGKILL simulates a crash, SIGTERM an ordinary stop. */
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

/** How Chromium is started: the headless shell if installed, which needs half the CPU time. */
export const CHROMIUM = {
  executablePath: process.env.CHROMIUM_SHELL ?? process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync',
    // Fewer processes per browser context need less CPU time.
    '--in-process-gpu', '--process-per-site',
    // A fake microphone, available without a permission prompt.
    '--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream'],
};

/** The full Chromium, for tests that need profiles, preferences or the back/forward cache. */
export const DESKTOP_CHROMIUM = { ...CHROMIUM, executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium' };

/** Waits for closing, but not for ever: a hanging Chromium is no test failure, and is killed with this process. */
async function inTime(what, closing) {
  const late = sleep(STOP, 'late', { ref: false });
  if (await Promise.race([closing, late]) === 'late') console.error(`${process.argv[1]}: ${what} did not close within ${STOP} ms`);
}

/** Starts Chromium and a server for one test file; `close` ends both. */
export async function startEnv(settings, program = CHROMIUM) {
  const server = await new Server(settings).start();
  const browser = await chromium.launch(program).catch(async (error) => {
    await server.kill();
    throw error;
  });
  const problems = [];
  const contexts = new Set();
  /** Origins to which pages may send requests: the server's, and those of sites that embed the chat. */
  const hosts = [server.url];

  /** Opens a new browser context; errors in its pages and requests to other hosts make the test file fail. */
  async function newContext(options = {}, inBrowser = browser) {
    const context = await inBrowser.newContext({ locale: 'tr-TR', timezoneId: 'Europe/Istanbul', baseURL: server.url, serviceWorkers: 'block', ...DESK, ...options });
    context.on('request', (request) => {
      if (!hosts.some((host) => request.url().startsWith(`${host}/`)) && !/^(data|blob):/.test(request.url())) problems.push(`request to ${request.url()}`);
    });
    context.on('console', (message) => {
      const text = message.text();
      // Failed requests are also logged to the console, but are expected in tests that kill the server.
      if (message.type() === 'error' && !/ERR_|WebSocket connection|Failed to load resource/.test(text)) problems.push(`console: ${text}`);
    });
    contexts.add(context);
    context.on('close', () => contexts.delete(context));
    context.on('weberror', (error) => problems.push(`page error: ${error.error().message} ${error.error().stack}`));
    return context;
  }

  /** Closes all browser contexts except those of `except`, so that pages of a finished test do not slow down the next one. */
  async function closeContexts(...except) {
    await inTime('pages of a test', Promise.all([...contexts].filter((context) => !except.includes(context)).map((context) => context.close())));
  }

  async function close() {
    try {
      await inTime('Chromium', browser.close());
    } finally {
      await server.kill('SIGTERM');
    }
    assert.deepEqual(problems, [], 'pages must not log errors or send requests to other hosts');
  }

  return { browser, server, newContext, closeContexts, hosts, problems, close };
}

// --- actions of visitors and agents --------------------------------------------

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

/**
 * Controls the events that the next page of this context receives: while `drop` is true, events (but not acks) are dropped, and
 * `hear` makes one up.
 */
export async function interceptEvents(context) {
  const events = { drop: false };
  await context.routeWebSocket(/socket\.io/, (socket) => {
    const server = socket.connectToServer();
    socket.onMessage((frame) => server.send(frame));
    server.onMessage((frame) => { if (!events.drop || !String(frame).startsWith('42["')) socket.send(frame); });
    events.inject = (...event) => socket.send(`42${JSON.stringify(event)}`);
  });
  return events;
}

/** Waits until the page says that it is connected. */
export const connected = (page) => page.waitForSelector('#talk[data-connection=online]');

/** Signs in with the code from the server's log, by the requests of the sign-in page; returns the console's page. */
export async function signIn(context, server, { lang = 'tr' } = {}) {
  const post = async (path, data) => {
    const answer = await context.request.post(`${server.url}${path}`, { data });
    assert.equal(answer.status(), 200, path);
  };
  const before = server.log.length;
  await post('/request-otp', {});
  await eventually(() => assert.match(server.log.slice(before), /SIGN-IN CODE/), 'code in the log');
  await post('/verify-otp', { otp: server.code() });
  const page = await context.newPage();
  await page.goto(`/admin?lang=${lang}`);
  await page.waitForSelector('#connection', { state: 'hidden' });
  return page;
}

/** Types into the composer and presses Enter. */
export async function say(page, text) {
  await page.locator('#text').fill(text);
  await page.locator('#text').press('Enter');
}

/** Sends many messages in quick succession by dispatching events, without simulating key presses. */
export const sayAll = (page, lines) => page.evaluate((all) => {
  const box = document.getElementById('text');
  for (const line of all) {
    box.value = line;
    box.dispatchEvent(new InputEvent('input', { bubbles: true }));
    box.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', bubbles: true, cancelable: true }));
  }
}, lines);

/** The texts of all message bubbles, in order. */
export const texts = (page) => page.locator('.message .bubble').allTextContents();

/** Waits until the page shows exactly these messages. */
export const shows = (page, expected, within) => eventually(async () => assert.deepEqual(await texts(page), expected), `bubbles ${JSON.stringify(expected).slice(0, 200)}`, within);

/** The state of the bubble with this text: waiting, sending, sent, delivered, read, failed, received. */
export const stateOf = (page, text) => page.locator('.message', { hasText: text }).last().getAttribute('data-state');

/** States of a message that the server has stored; whether it is also delivered or read depends on the other pages. */
export const STORED = /^(sent|delivered|read)$/;
export const STORED_MESSAGE = '.message:is([data-state=sent], [data-state=delivered], [data-state=read])';

/** Whether the page does not overflow sideways. Compares with clientWidth, because on phones innerWidth grows with the overflow. */
export const fits = (page) => page.evaluate(() => document.documentElement.scrollWidth <= document.documentElement.clientWidth);

/** Opens the thread of this visitor in the console. */
export async function openThread(page, name) {
  await eventually(async () => {
    await page.locator('.row', { hasText: name }).first().click(); // the rows may move, and another one may get the click
    assert.ok((await page.textContent('#head-name')).includes(name));
  }, `the conversation with ${name} open`);
  await page.waitForSelector('#conversation:not([hidden])');
}

/** Fills the server's database with conversations; for the flags `-threads` and `-history` see assets/test/seed/main.go. */
export function seed(server, ...args) {
  execFileSync('go', ['run', './assets/test/seed', ...args], { cwd: root, stdio: 'inherit', env: { ...process.env, DATA_DIR: server.data } });
}

/** Chooses an action in the menu of the open conversation: 'export', 'block' or 'clear'. */
export async function act(page, what) {
  await page.click('#talk-menu summary');
  await page.click(`#${what}`);
}

/** Deletes the open conversation without waiting for the undo period, by simulating that the page is left and restored. */
export async function removeThread(page) {
  await act(page, 'clear');
  await page.evaluate(() => {
    window.dispatchEvent(new PageTransitionEvent('pagehide', { persisted: true }));
    window.dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }));
  });
}
