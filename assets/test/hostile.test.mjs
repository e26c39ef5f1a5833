// Attacks from pages of other sites, opened in the browser of a signed-in agent: they can neither read, write, upload, connect
// nor embed. One page is on another site, one is same-site (same host, another port), so that cookies are sent, and one is listed
// in CORS_ORIGINS: it may embed the chat and act as a visitor, but not as an agent.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';
import { DESKTOP_CHROMIUM, eventually, startEnv, signIn, visit } from './harness.mjs';

let pages; // serves empty pages
let env;
const origin = {};

before(async () => {
  pages = createServer((_, response) => response.setHeader('Content-Type', 'text/html').end('<!doctype html><title>Prizes</title>'));
  const listed = createServer((_, response) => response.setHeader('Content-Type', 'text/html').end('<!doctype html><title>Shop</title>'));
  for (const server of [pages, listed]) {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  }
  pages.listed = listed;
  origin.sibling = `http://127.0.0.1:${pages.address().port}`;
  origin.stranger = `http://localhost:${pages.address().port}`;
  origin.listed = `http://127.0.0.1:${listed.address().port}`;
  origin.listedStranger = `http://localhost:${listed.address().port}`;
});
after(async () => {
  for (const server of [pages, pages.listed]) {
    server.closeAllConnections?.();
    server.close();
  }
});

/** Opens a page at `from` in a browser in which an agent is signed in and a visitor has written. */
async function hostile(from) {
  const context = await env.browser.newContext({ baseURL: env.server.url });
  const guest = await visit(context, 'Kurban');
  await guest.fill('#text', 'private words');
  await guest.press('#text', 'Enter');
  const agent = await signIn(context, env.server);
  await agent.locator('.row', { hasText: 'private words' }).first().waitFor();
  const page = await context.newPage();
  await page.goto(from);
  return { context, page, agent };
}

/** What a script on the page can get from our server; each value is a response's status and text, or the reason why there is none. */
const attack = (page, target) => page.evaluate(async (url) => {
  const got = {};
  const within = (promise) => Promise.race([promise, new Promise((resolve) => setTimeout(() => resolve('nothing'), 4_000))]);
  const ask = async (name, path, options) => {
    got[name] = await within(fetch(url + path, { credentials: 'include', ...options })
      .then(async (r) => (r.type === 'opaque' ? 'opaque' : `${r.status} ${await r.text()}`), (e) => e.name));
  };
  const json = { 'Content-Type': 'application/json' };
  await ask('threads', '/api/threads');
  await ask('threads opaquely', '/api/threads', { mode: 'no-cors' });
  await ask('console', '/admin');
  await ask('health', '/health');
  await ask('clear', '/api/messages/clear_all', { method: 'POST' });
  await ask('clear opaquely', '/api/messages/clear_all', { method: 'POST', mode: 'no-cors' });
  await ask('clear as text', '/api/messages/clear_all', { method: 'POST', mode: 'no-cors', headers: { 'Content-Type': 'text/plain' }, body: '{}' });
  await ask('clear with a header', '/api/messages/clear_all', { method: 'POST', headers: { ...json, 'X-CSRF-Token': '0' }, body: '{}' });
  await ask('ask for a code', '/request-otp', { method: 'POST', mode: 'no-cors' });
  const form = new FormData();
  form.append('file', new Blob([Uint8Array.from([0x89, 0x50, 0x4e, 0x47])], { type: 'image/png' }), 'x.png');
  await ask('upload', '/api/upload/image', { method: 'POST', mode: 'no-cors', body: form });
  got.beacon = String(navigator.sendBeacon(`${url}/api/messages/clear_all`, ''));
  // Our static scripts, pictures and styles may be loaded by others; API responses must not.
  const load = (name, tag, path) => within(new Promise((resolve) => {
    const node = document.createElement(tag);
    Object.assign(node, { onload: () => resolve('loaded'), onerror: () => resolve('refused') });
    node[tag === 'link' ? 'href' : 'src'] = url + path;
    if (tag === 'link') node.rel = 'stylesheet';
    document.head.append(node);
  })).then((outcome) => { got[name] = outcome; });
  await load('threads as script', 'script', '/api/threads');
  await load('threads as style', 'link', '/api/threads');
  await load('console as picture', 'img', '/admin');
  // Sockets.
  got.polling = await within(fetch(`${url}/socket.io/?EIO=4&transport=polling`, { credentials: 'include' }).then((r) => String(r.status), (e) => e.name));
  got.websocket = await within(new Promise((resolve) => {
    const socket = new WebSocket(`${url.replace('http', 'ws')}/socket.io/?EIO=4&transport=websocket`);
    let joined = '';
    socket.onerror = () => resolve('refused');
    socket.onclose = () => resolve('refused');
    socket.onmessage = ({ data }) => {
      if (data.startsWith('0')) socket.send('40');
      else if (data.startsWith('40')) socket.send('421["admin_join"]');
      else if (data.startsWith('431')) {
        joined = data;
        socket.close();
        resolve(joined);
      }
    };
  }));
  // A window with a page of ours.
  const other = open(`${url}/admin`);
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  try {
    got.window = other.closed ? 'severed' : `${other.document.title} readable`;
  } catch (error) {
    got.window = error.name;
  }
  return got;
}, target);

/** Which of our pages the page can embed in a frame, by path. */
async function framed(page, target, paths) {
  await page.evaluate(([url, list]) => {
    for (const path of list) {
      const frame = document.createElement('iframe');
      frame.src = url + path;
      frame.name = path;
      document.body.append(frame);
    }
  }, [target, paths]);
  const shown = {};
  await Promise.all(paths.map(async (path) => {
    // If embedding is refused, the frame contains an error page or nothing.
    const ours = () => page.frames().find((one) => one.name() === path && one.url().startsWith(target));
    await eventually(async () => assert.notEqual(await ours()?.title(), undefined), '', 2_500).catch(() => {});
    shown[path] = Boolean(ours() && await ours().title());
  }));
  return shown;
}

async function nothingLost(agent) {
  const rows = await agent.evaluate(() => fetch('/api/threads').then((r) => r.json()));
  assert.ok(rows.some((row) => row.last_message === 'private words'), 'the conversation is gone');
}

const PATHS = ['/', '/login', '/admin'];

for (const [setup, settings] of [['default', () => ({})], ['CORS_ORIGINS', () => ({ CORS_ORIGINS: origin.listed })]]) {
  for (const who of ['stranger', 'sibling']) {
    test(`${setup}: a page of a ${who} site can neither read nor change anything`, async () => {
      env = await startEnv(settings());
      try {
        const { context, page, agent } = await hostile(origin[who]);
        const framable = await framed(page, env.server.url, PATHS);
        assert.deepEqual(framable, { '/': false, '/login': false, '/admin': false });
        const asked = env.server.log.split('SIGN-IN CODE').length;
        const got = await attack(page, env.server.url);
        for (const [what, answer] of Object.entries(got)) {
          assert.match(answer, /^(TypeError|opaque|refused|severed|SecurityError|true)$/, what);
          if (what.startsWith('threads') && what !== 'threads opaquely') assert.notEqual(answer, 'loaded', what);
        }
        assert.equal(env.server.log.split('SIGN-IN CODE').length, asked, 'a page of another site had a code sent');
        await nothingLost(agent);
        await context.close();
      } finally {
        await env.close();
      }
    });
  }
}

test('CORS_ORIGINS: a listed page of another site may embed only the chat', async () => {
  env = await startEnv({ CORS_ORIGINS: origin.listedStranger }, DESKTOP_CHROMIUM); // full Chromium, which blocks storage in third-party frames
  try {
    const { context, page } = await hostile(origin.listedStranger);
    assert.deepEqual(await framed(page, env.server.url, PATHS), { '/': true, '/login': false, '/admin': false });
    await page.frames().find((frame) => frame.name() === '/').waitForSelector('#start-form');
    await context.close();
  } finally {
    await env.close();
  }
});

test('CORS_ORIGINS: a listed page may embed the chat and act as a visitor, but not as an agent', async () => {
  env = await startEnv({ CORS_ORIGINS: origin.listed });
  try {
    const { context, page, agent } = await hostile(origin.listed);
    assert.deepEqual(await framed(page, env.server.url, PATHS), { '/': true, '/login': false, '/admin': false });
    const chat = page.frames().find((frame) => frame.name() === '/');
    await chat.waitForSelector('#talk[data-connection=online]'); // the frame resumes the conversation of this browser's visitor
    const got = await attack(page, env.server.url);
    for (const what of ['threads', 'clear', 'clear with a header']) assert.match(got[what], /^(401 |TypeError)/, what);
    for (const what of ['console', 'health']) assert.equal(got[what], 'TypeError', what);
    for (const what of ['threads as script', 'threads as style', 'console as picture']) assert.equal(got[what], 'refused', what);
    assert.match(got.websocket, /"code":"unauthorized"/, 'the agent’s cookie came along and counted');
    assert.doesNotMatch(got.window, /readable/);
    await nothingLost(agent);
    await context.close();
  } finally {
    await env.close();
  }
});
