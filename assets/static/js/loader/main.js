// What /widget.js adds to another site's page: a button, and behind it the chat in a frame of our origin. It must be small and
// fast, leave no traces in the page, and work with any styles and policies of the page. SETTINGS is inserted by the server, see
// widget.go:
// {origins: string[], locale, colors: ?[light, dark], texts: {tr: {direction, title, open, close, unread_one, unread_other, failed, again}, …}}
/* global SETTINGS */
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
const current = document.currentScript;
const script = [current, ...document.scripts].find((one) => one?.dataset.server || /widget\.js/.test(one?.src)) ?? current;
const data = script?.dataset ?? {};
const named = data.server ?? window.SohbetServer;
const complain = (text) => console.error(`Sohbet: ${text}`);

/** The URL of the chat: relative to the script, or on the server that the site names. */
let address;
try { address = new URL('widget', named ? named.replace(/\/?$/, '/') : /widget\.js/.exec(script.src).input); } catch { /* reported below */ }
const server = address?.origin;

function start() {
  const lang = [data.lang, document.documentElement.lang, ...navigator.languages].map((tag) => tag?.split('-')[0].toLowerCase()).find((tag) => SETTINGS.texts[tag]) ?? SETTINGS.locale;
  const listeners = {};
  const place = () => ({ url: location.origin + location.pathname, title: document.title });
  let person = null;
  let said = null;
  let unread = 0;
  let shown = false;

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
    failed: () => complain(`${address.origin + address.pathname} does not answer. A Content-Security-Policy of this page must have frame-src ${server}, a copy of the script data-server`),
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
      revive();
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
    on(event, fn) {
      if (!EVENTS.includes(event) || typeof fn !== 'function') complain(`on wants one of ${EVENTS.join(', ')} and a function`);
      else if (event === 'ready') setTimeout(fn); // it is ready already
      else (listeners[event] ??= []).push(fn);
    },
    off(event, fn) { listeners[event] = listeners[event]?.filter((one) => one !== fn); },
    identify(who) {
      const { id, hash } = who ?? {};
      if (!/^(string|number)$/.test(typeof id) || typeof hash !== 'string') {
        complain('identify wants {id, hash}');
        return;
      }
      person = { ...who, id: String(id), hash: hash.toLowerCase() };
      channel.send('identify', person);
    },
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

  const call = (name, ...rest) => {
    if (Object.hasOwn(commands, name)) commands[name](...rest);
    else complain(`no '${name}'; there are ${Object.keys(commands).join(', ')}`);
  };
  const waiting = window.Sohbet?.q ?? [];
  call.loaded = true;
  const revive = call.revive = () => { if (shown) panel.attach(); };
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
else if (!server) complain('which server? Name it by data-server or window.SohbetServer, as https://chat.example');
else if (location.origin === server || SETTINGS.origins.includes(location.origin)) {
  if (document.body) start(); else document.addEventListener('DOMContentLoaded', start);
} else {
  window.Sohbet = Object.assign(() => {}, { loaded: true });
  complain(`${location.origin} may not show this chat: add it to CORS_ORIGINS of ${server} and restart that`);
}
