// What /widget.js puts on somebody else's page: a button, and behind it the chat in a frame of our own origin. It must be small,
// quick, without traces in the page, and indifferent to the page's styles and policies. SETTINGS is the server's, see widget.go:
// {origins: string[], locale, color, texts: {tr: {direction, title, open, close, unread_one, unread_other, failed, again}, …}}
/* global SETTINGS */
import { Box } from './box.js';
import { Link } from './link.js';
import { hiddenOn, onNavigation } from './pages.js';

const EVENTS = ['ready', 'open', 'close', 'message', 'unread'];
// A mere sign that this browser has a conversation, so that its answers are worth looking for; nothing that opens it.
const SIGN = 'sohbet.talk';

const script = document.currentScript ?? document.querySelector('script[src*="/widget.js"]');
const server = new URL('.', script.src); // with the path that it is served below
const complain = (text) => console.error(`Sohbet: ${text}`);

function start() {
  const data = script.dataset;
  const lang = [data.lang, document.documentElement.lang, ...navigator.languages].map((tag) => tag?.split('-')[0].toLowerCase()).find((tag) => SETTINGS.texts[tag]) ?? SETTINGS.locale;
  const listeners = {};
  const place = () => ({ url: location.origin + location.pathname, title: document.title });
  let person = null;
  let said = null;
  let unread = 0;

  const emit = (event, detail) => {
    for (const fn of listeners[event] ?? []) {
      try { fn(detail); } catch (error) { setTimeout(() => { throw error; }); } // the listener's mistake, told as its own
    }
  };

  const address = new URL('widget', server);
  address.searchParams.set('lang', lang);
  if (data.theme) address.searchParams.set('theme', data.theme);
  const box = new Box({
    lang, texts: SETTINGS.texts[lang], color: data.color ?? SETTINGS.color, theme: data.theme, position: data.position ?? '', toggle: () => commands.toggle(), close: () => commands.close(),
    again: () => link.reload(),
  });
  const link = new Link(address, {
    box,
    greeting: () => ({ open: box.isOpen, phone: box.isFull, person, page: said ?? place() }),
    failed: () => complain(`the chat did not load. A Content-Security-Policy of this page must have frame-src ${server.origin}`),
    heard: {
      close: () => commands.close(),
      talk: (has) => { try { if (has) localStorage.setItem(SIGN, '1'); else localStorage.removeItem(SIGN); } catch { /* no storage here */ } },
      unread: (count) => {
        if (count === unread) return;
        unread = count;
        box.unread(count);
        emit('unread', { count });
      },
      message: (about) => emit('message', about),
      doubted: () => complain('identify: refused; hash must be the hex HMAC-SHA256 of id with IDENTITY_SECRET'),
    },
  });

  const commands = {
    open() {
      if (box.isOpen) return;
      link.load();
      box.open();
      link.tell('open', { phone: box.isFull });
      emit('open');
    },
    close() {
      if (!box.isOpen) return;
      box.close();
      link.tell('close');
      emit('close');
    },
    toggle() { commands[box.isOpen ? 'close' : 'open'](); },
    on(event, fn) {
      if (!EVENTS.includes(event) || typeof fn !== 'function') complain(`on wants one of ${EVENTS.join(', ')} and a function`);
      else if (event === 'ready') setTimeout(fn); // it is
      else (listeners[event] ??= []).push(fn);
    },
    off(event, fn) { listeners[event] = listeners[event]?.filter((one) => one !== fn); },
    identify(who) {
      if (typeof who?.id !== 'string' || typeof who.hash !== 'string') {
        complain('identify wants {id, hash}, both strings');
        return;
      }
      const { id, hash, name, email, phone } = who;
      person = { id, hash, name, email, phone };
      link.tell('identify', person);
    },
    page(where = {}) {
      said = { ...place(), ...where };
      moved();
      link.tell('page', said);
    },
    reset() {
      person = null;
      commands.close();
      if (!link.tell('reset')) link.reset();
    },
  };

  const moved = () => box.hide(hiddenOn(data.hiddenPages, new URL(said?.url ?? location.href, location.href).pathname));
  onNavigation(() => {
    said = null;
    moved();
    box.place();
    link.tell('page', place());
  });
  moved();

  const call = (name, ...rest) => {
    if (Object.hasOwn(commands, name)) commands[name](...rest);
    else complain(`no '${name}'; there are ${Object.keys(commands).join(', ')}`);
  };
  const waiting = window.Sohbet?.q ?? [];
  call.loaded = true;
  window.Sohbet = call;
  for (const args of waiting) call(...args);

  // Who has talked here before wants to see that an answer came: the chat loads unseen, when the page has nothing else to do.
  let talked = false;
  try { talked = localStorage.getItem(SIGN) === '1'; } catch { /* no storage here */ }
  const calm = () => (window.requestIdleCallback ?? setTimeout)(() => {
    box.place();
    if (talked) link.load();
  });
  if (document.readyState === 'complete') calm();
  else window.addEventListener('load', calm, { once: true });
}

// Pages that swap their body run the script again and again; once is enough.
if (!window.Sohbet?.loaded) {
  if (location.origin === server.origin || SETTINGS.origins.includes(location.origin)) {
    if (document.body) start(); else document.addEventListener('DOMContentLoaded', start);
  } else {
    window.Sohbet = Object.assign(() => {}, { loaded: true });
    complain(`${location.origin} may not show this chat: add it to CORS_ORIGINS of ${server.origin} and restart that`);
  }
}
