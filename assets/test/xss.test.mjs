// A hundred XSS payloads in every field that others get to see: name, phone, page, language, message, file name and caption in
// the console, and answers on the visitor's page. All must be shown as text: no dialog, no request, no added element, and no
// violation of the page's policy.
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { eventually, startEnv, openThread, say, sayAll, signIn, texts, visit } from './harness.mjs';

const RUN = 'alert(window.pwned=1)';
const CORES = [
  `<script class=pwned>${RUN}</script>`, `<img class=pwned src=x onerror=${RUN}>`, `<svg class=pwned onload=${RUN}>`, `<svg><script class=pwned>${RUN}</script>`,
  `<iframe class=pwned srcdoc="<script>parent.${RUN}</script>">`, `<body class=pwned onload=${RUN}>`, `<details class=pwned open ontoggle=${RUN}>`,
  `<video class=pwned><source onerror=${RUN}>`, `<input class=pwned autofocus onfocus=${RUN}>`, `<a class=pwned href="javascript:${RUN}">x</a>`,
  `javascript:${RUN}`, `<math class=pwned><mi xlink:href="javascript:${RUN}">`, `<object class=pwned data="javascript:${RUN}">`, `<embed class=pwned src="javascript:${RUN}">`,
  `<form class=pwned><button formaction="javascript:${RUN}">`, `<meta class=pwned http-equiv=refresh content="0;url=//evil.invalid">`,
  '<link class=pwned rel=stylesheet href=//evil.invalid/x.css>', '<base class=pwned href=//evil.invalid/>', '<img class=pwned src=//evil.invalid/x.png>',
  `{{constructor.constructor('${RUN}')()}}\${${RUN}}`,
];
const BREAKS = ['', '">', "'>`;", '</textarea></title></script>', '--><![CDATA[ '];
const PAYLOADS = BREAKS.flatMap((out) => CORES.map((core) => out + core));

let env;
before(async () => { env = await startEnv({ RATE_LIMIT_UPLOAD: 'off' }); });
afterEach(() => env.closeContexts());
after(() => env.close());

/** Opens a browser context that records dialogs and policy violations. */
async function watched() {
  const context = await env.newContext();
  const seen = [];
  await context.exposeFunction('tellViolation', (what) => seen.push(`policy: ${what}`));
  await context.addInitScript(() => {
    document.addEventListener('securitypolicyviolation', (event) => window.tellViolation(`${event.violatedDirective} ${event.blockedURI} ${event.sample}`));
  });
  context.on('page', (page) => page.on('dialog', (dialog) => {
    seen.push(`dialog: ${dialog.message()}`);
    dialog.dismiss();
  }));
  return { context, seen };
}

const harmless = async (page, what) => {
  const found = await page.evaluate(() => ({
    ran: window.pwned, nodes: document.querySelectorAll('.pwned').length, inline: document.querySelectorAll('script:not([src]):not([type="application/json"])').length,
    handlers: document.querySelectorAll('[onerror], [onload], [onfocus], [ontoggle]').length,
    links: [...document.querySelectorAll('[href], [src]')].filter((node) => /^(javascript|data:text)/i.test(node.getAttribute('href') ?? node.getAttribute('src'))).length,
    base: document.querySelectorAll('base').length,
  }));
  assert.deepEqual(found, { ran: undefined, nodes: 0, inline: 0, handlers: 0, links: 0, base: 0 }, what);
};

/** Joins as visitor number n, with the payload in every field that a visitor can set, and disconnects. */
const come = (page, n, payload) => page.evaluate(async ([number, text]) => {
  const { io } = await import('/socket.io/socket.io.esm.min.js');
  const socket = io({ forceNew: true, transports: ['websocket'] });
  const ask = (event, body) => socket.timeout(10_000).emitWithAck(event, body);
  const joined = await ask('join', {
    display_name: [...`${number} ${text}`].slice(0, 100).join(''), phone_number: text.slice(0, 20), locale: text.slice(0, 35),
    page_url: `https://shop.invalid/?${text}`,
  });
  if (!joined.ok) throw new Error(JSON.stringify(joined));
  const canvas = Object.assign(document.createElement('canvas'), { width: 4, height: 4 });
  canvas.getContext('2d').fillRect(0, 0, 2, 2);
  const picture = await new Promise((resolve) => canvas.toBlob(resolve, 'image/png'));
  const form = new FormData();
  form.append('file', picture, `${text}.png`);
  const uploaded = await (await fetch('/api/upload/image', { method: 'POST', body: form })).json();
  if (!uploaded.success) throw new Error(JSON.stringify(uploaded));
  const thread_id = joined.thread_id;
  for (const message of [{ text }, { type: 'image', file_url: uploaded.url, text: `caption ${text}` }]) {
    const answer = await ask('message', { thread_id, ...message });
    if (!answer.ok) throw new Error(JSON.stringify(answer));
  }
  await ask('typing', { thread_id });
  return socket.close() && thread_id;
}, [n, payload]);

test('a hundred payloads from visitors are text in the console', async () => {
  assert.equal(new Set(PAYLOADS).size, 100);
  const guests = await watched();
  const stage = await guests.context.newPage();
  await stage.goto('/');
  const desk = await watched();
  const agent = await signIn(desk.context, env.server);
  // Visitors join in groups of ten, so that the list is stable while their rows are clicked.
  for (const [n, payload] of PAYLOADS.entries()) {
    if (n % 10 === 0) await Promise.all(PAYLOADS.slice(n, n + 10).map((one, i) => come(stage, n + i, one)));
    const row = agent.locator('.row').filter({ has: agent.locator('.row-name', { hasText: new RegExp(`^${n} `) }) });
    await row.click();
    await eventually(async () => {
      const shown = await texts(agent);
      assert.equal(shown[0], payload);
      assert.ok(shown[1].includes(`caption ${payload}`), shown[1]);
    }, `payload ${n}`);
    assert.ok((await agent.textContent('#head-name')).startsWith(`${n} ${payload.slice(0, 60)}`));
    await harmless(agent, `console with ${payload}`);
  }
  await harmless(stage, 'chat page');
  assert.deepEqual([...desk.seen, ...guests.seen], []);
});

test('a hundred payloads from an agent are text on the visitor’s page', async () => {
  const guest = await watched();
  const page = await visit(guest.context, 'Hedef');
  await say(page, 'hello');
  const desk = await watched();
  const agent = await signIn(desk.context, env.server);
  await openThread(agent, 'Hedef');
  await sayAll(agent, PAYLOADS);
  await eventually(async () => assert.deepEqual(await texts(page), ['hello', ...PAYLOADS.map((one) => one.trim())]), 'answers', 30_000);
  await harmless(page, 'chat page');
  await harmless(agent, 'console');
  await page.reload();
  await eventually(async () => assert.equal((await texts(page)).length > 20, true));
  await harmless(page, 'chat page after a reload');
  assert.deepEqual([...desk.seen, ...guest.seen], []);
});
