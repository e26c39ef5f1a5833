// The widget's side of the line to the page of the other site (loader/link.js has the other end). It is evaluated before visitor.js,
// which therefore starts unseen, and waits for what the page has to tell.
import { byId } from '../lib/dom.js';
import { host } from '../lib/host.js';

const sites = new Set([location.origin, ...(document.querySelector('meta[name=sites]')?.content ?? '').split(' ')]);
const heard = {};
let port = null;
let welcome;

/** Opened by itself, as a page of its own, it is an ordinary chat page. */
export const framed = window.parent !== window;

/** Tells the page. What is told before it listens is lost, so it is told what matters when it does: see `ready`. */
export const tell = (what, detail) => port?.postMessage([what, detail]);

/** Hears what the page says: open, close, identify, page, reset. */
export const on = (what, fn) => { heard[what] = fn; };

/** Resolves with the page's first words: {open, phone, person, page: {url, title}}. */
export const ready = new Promise((resolve) => { welcome = resolve; });

/** Who the site says this is, with facts that the server takes; without them when what checks them cannot be loaded. */
const checked = async (person) => person && import('./facts.js').then(({ factsOf }) => factsOf(person, (text) => tell('warn', text)), () => ({ id: person.id, hash: person.hash }));

if (framed) {
  byId('talk').hidden = true;
  host.ready = ready.then(({ person, page }) => {
    host.person = person;
    Object.assign(host, page);
  });
  window.addEventListener('message', ({ source, origin, data, ports }) => {
    if (source !== window.parent || !sites.has(origin) || data?.[0] !== 'sohbet:welcome' || !ports[0]) return;
    port = ports[0];
    port.onmessage = async ({ data: [what, detail] }) => heard[what]?.(what === 'identify' ? await checked(detail) : detail);
    checked(data[1].person).then((person) => welcome({ ...data[1], person }));
  });
  // To whom is not known yet; the policy (frame-ancestors) has seen to it that it is somebody listed.
  window.parent.postMessage('sohbet:hello', '*');
}
