// A site that embeds the chat: pages on a host that browsers treat as another site than the server (localhost is not 127.0.0.1).
import { once } from 'node:events';
import { createServer } from 'node:http';

const SHOP = `
<header><a href="/">Çarşı</a> <a href="/checkout">Kasa</a></header>
<main><h1>El yapımı fincan</h1><p>Kargo iki günde.</p><button id="buy">Sepete ekle</button></main>`;

export class Site {
  #pages = new Map();
  #server = createServer((request, response) => {
    const { pathname } = new URL(request.url, 'http://site');
    if (pathname === '/favicon.ico') { response.writeHead(204).end(); return; }
    const { html, headers } = this.#pages.get(pathname) ?? this.#pages.get('*');
    response.writeHead(200, { 'Content-Type': 'text/html; charset=utf-8', 'Cache-Control': 'no-cache', ...headers }).end(html);
  });

  /** @param {string} host as in the URL: "localhost", "127.0.0.1" */
  constructor(host = 'localhost') { this.host = host; }

  async start() {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    this.url = `http://${this.host}:${this.#server.address().port}`;
    return this;
  }

  /** Serves a page with the widget at a path; "*" = all other paths. */
  page(path, { server, attributes = '', head = '', body = SHOP, lang = 'tr', dir = 'ltr', headers = {} }) {
    const html = `<!doctype html><html lang="${lang}" dir="${dir}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Çarşı ${path}</title>${head}</head><body>${body}<script src="${server}/widget.js" async ${attributes}></script></body></html>`;
    this.#pages.set(path, { html, headers });
  }

  /** Serves something else at a path. */
  file(path, body, type = 'text/html') { this.#pages.set(path, { html: body, headers: { 'Content-Type': `${type}; charset=utf-8` } }); }

  async stop() {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }
}

/** Opens the widget's closed shadow root, because Playwright only sees into open ones. */
export const openUp = (context) => context.addInitScript(() => {
  const attach = Element.prototype.attachShadow;
  Element.prototype.attachShadow = function (options) { return attach.call(this, { ...options, mode: 'open' }); };
});

export const launcher = (page) => page.locator('sohbet-chat .launcher');
export const panel = (page) => page.locator('sohbet-chat .panel');
/** The chat in the frame. */
export const chat = (page) => page.frameLocator('sohbet-chat iframe');

/** Enters the name in the chat. Waits until the chat is shown, because while it loads, the hidden page may move the focus. */
export async function introduce(page, name) {
  await page.locator('sohbet-chat .wait').waitFor({ state: 'hidden' });
  await chat(page).locator('#name').fill(name);
  await chat(page).locator('#start-form button[type=submit]').click();
  await chat(page).locator('#talk[data-stage=talk][data-connection=online]').waitFor();
}
