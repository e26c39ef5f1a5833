// What /widget.js adds to another site's page: a button, and behind it the chat in a frame of our origin. It must be small and
// fast, leave no traces in the page, and work with any styles and policies of the page. SETTINGS is inserted by the server, see
// widget.go.
import { Panel } from './panel.js';
import { FrameChannel } from './frame-channel.js';
import { accents } from './styles.js';
import { hiddenOn, onNavigation } from './navigation.js';

const EVENTS = ['ready', 'open', 'close', 'message', 'unread'];
// localStorage key that marks that this browser has a conversation, so that its unread messages are fetched. It contains no
// credential.
const MARKER = 'sohbet.talk';

// Sites may concatenate or copy the script, inline it, or eval it. Then the script's own URL is unknown, and the site has to name
// the server.
const current = /** @type {HTMLScriptElement | null} */ (document.currentScript);
const script = [current, ...document.scripts].find((one) => one && (one.dataset.server || /widget\.js/.test(one.src))) ?? current;
const data = script?.dataset ?? {};
const named = data.server ?? window.SohbetServer;
const complain = (/** @type {string} */ text) => console.error(`Sohbet: ${text}`);

/** The URL of the chat: relative to the script, or on the server that the site names; null if neither is known. */
const chatURL = () => {
  try { return new URL('widget', named ? named.replace(/\/?$/, '/') : /widget\.js/.exec(script?.src ?? '')?.input); } catch { return null; }
};
const chat = chatURL();

/** @param {URL} address of the chat */
function start(address) {
  const lang = [data.lang, document.documentElement.lang, ...navigator.languages].map((tag) => tag?.split('-')[0].toLowerCase()).find((tag) => tag && SETTINGS.texts[tag]) ?? SETTINGS.locale;
  /** @type {Lookup<((detail?: unknown) => void)[]>} */
  const listeners = {};
  const place = () => ({ url: location.origin + location.pathname, title: document.title });
  /** @type {GivenPerson | null} */
  let person = null;
  /** @type {Place | null} */
  let said = null;
  let unread = 0;
  let shown = false;

  /** @param {string} event @param {unknown} [detail] */
  const emit = (event, detail) => {
    for (const fn of listeners[event] ?? []) {
      try { fn(detail); } catch (error) { setTimeout(() => { throw error; }); } // an exception of the site's listener is reported as uncaught
    }
  };

  address.searchParams.set('lang', lang);
  if (data.theme) address.searchParams.set('theme', data.theme);
  // The chat in the panel gets the button's colour.
  const chosen = data.color ? accents(data.color) : null;
  if (chosen) address.searchParams.set('color', chosen.join('-').replaceAll('#', ''));
  const panel = new Panel({
    lang, texts: SETTINGS.texts[lang], colors: chosen ?? SETTINGS.colors, theme: data.theme, position: data.position ?? '', toggle: () => commands.toggle(), close: () => commands.close(),
    again: () => channel.reload(),
  });
  const channel = new FrameChannel(address, {
    panel,
    greeting: () => ({ open: panel.isOpen, phone: panel.isFull, person, page: said ?? place() }),
    failed: () => complain(`${address.origin + address.pathname} does not answer. A Content-Security-Policy of this page must have frame-src ${address.origin}, a copy of the script data-server`),
    handlers: {
      close: () => commands.close(),
      talk: (has) => { try { if (has) localStorage.setItem(MARKER, '1'); else localStorage.removeItem(MARKER); } catch { /* storage is blocked */ } },
      unread: (count) => {
        if (count === unread) return;
        unread = count;
        panel.unread(count);
        emit('unread', { count });
      },
      message: (about) => emit('message', about),
      doubted: () => complain('identify: refused; hash must be the hex HMAC-SHA256 of id with IDENTITY_SECRET'),
      warn: (text) => console.warn(`Sohbet: ${text}`),
    },
  });

  const commands = {
    open() {
      if (shown) panel.attach();
      if (panel.isOpen) return;
      if (shown) channel.load();
      panel.open();
      channel.send('open', { phone: panel.isFull });
      emit('open');
    },
    close() {
      if (!panel.isOpen) return;
      panel.close();
      channel.send('close');
      emit('close');
    },
    toggle() { commands[panel.isOpen ? 'close' : 'open'](); },
    /** @param {string} event @param {(detail?: unknown) => void} fn */
    on(event, fn) {
      if (!EVENTS.includes(event) || typeof fn !== 'function') complain(`on wants one of ${EVENTS.join(', ')} and a function`);
      else if (event === 'ready') setTimeout(fn); // it is ready already
      else listeners[event] = [...listeners[event] ?? [], fn];
    },
    /** @param {string} event @param {unknown} fn */
    off(event, fn) { listeners[event] = listeners[event]?.filter((one) => one !== fn); },
    /** @param {GivenPerson} who */
    identify(who) {
      const { id, hash } = who ?? {};
      if (!/^(string|number)$/.test(typeof id) || typeof hash !== 'string') {
        complain('identify wants {id, hash}');
        return;
      }
      person = { ...who, id: String(id), hash: hash.toLowerCase() };
      channel.send('identify', person);
    },
    /** @param {Partial<Place>} where */
    page(where = {}) {
      said = { ...place(), ...where };
      moved();
      channel.send('page', said);
    },
    reset() {
      person = null;
      commands.close();
      if (!channel.send('reset')) channel.reset();
    },
  };

  const moved = () => panel.hide(hiddenOn(data.hiddenPages, new URL(said?.url ?? location.href, location.href).pathname));
  onNavigation(() => {
    said = null;
    moved();
    panel.place();
    channel.send('page', place());
  });
  moved();

  const call = (/** @type {string} */ name, /** @type {unknown[]} */ ...rest) => {
    if (Object.hasOwn(commands, name)) /** @type {Record<string, (...rest: unknown[]) => void>} */ (commands)[name](...rest);
    else complain(`no '${name}'; there are ${Object.keys(commands).join(', ')}`);
  };
  const waiting = window.Sohbet?.q ?? [];
  call.loaded = true;
  call.revive = () => { if (shown) panel.attach(); };
  window.Sohbet = call;
  for (const args of waiting) call(...args);

  // A visitor with a conversation should see the number of unread messages: then the chat is loaded hidden, when the page is
  // idle.
  let talked = false;
  try { talked = localStorage.getItem(MARKER) === '1'; } catch { /* storage is blocked */ }
  // Not before the page has loaded: a framework that hydrates the page expects only what its server rendered.
  const calm = () => {
    shown = true;
    panel.watch();
    if (panel.isOpen) channel.load();
    (window.requestIdleCallback ?? setTimeout)(() => {
      panel.place();
      if (talked) channel.load();
    });
  };
  if (document.readyState === 'complete') calm();
  else window.addEventListener('load', calm, { once: true });
}

// Sites that replace their body on navigation run the script repeatedly; only the first run starts the widget.
if (window.Sohbet?.loaded) window.Sohbet.revive?.();
else if (!chat) complain('which server? Name it by data-server or window.SohbetServer, as https://chat.example');
else if (location.origin === chat.origin || SETTINGS.origins.includes(location.origin)) {
  if (document.body) start(chat); else document.addEventListener('DOMContentLoaded', () => start(chat));
} else {
  window.Sohbet = Object.assign(() => {}, { loaded: true });
  complain(`${location.origin} may not show this chat: add it to CORS_ORIGINS of ${chat.origin} and restart that`);
}
