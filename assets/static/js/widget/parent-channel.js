// The frame's end of the message channel to the embedding page (the other end is loader/frame-channel.js). It is evaluated before
// visitor.js, so that the chat starts hidden and waits for the page's first message.
import { byId } from '../lib/dom.js';
import { host } from '../lib/host-page.js';

/** @typedef {Omit<Welcome, 'person'> & {person: Person | null}} Greeting a welcome message with valid details of the person */
/** @typedef {Omit<FrameCommands, 'identify'> & {identify: Person}} Received */

const sites = new Set([location.origin, ...(/** @type {HTMLMetaElement | null} */ (document.querySelector('meta[name=sites]'))?.content ?? '').split(' ')]);
/** @type {Lookup<(detail: unknown) => void>} */
const handlers = {};
/** @type {MessagePort | null} */
let port = null;
/** @type {(welcome: Greeting) => void} */
let resolveReady;

/** False if /widget is opened as a page of its own; then it is an ordinary chat page. */
export const framed = window.parent !== window;

/**
 * Sends a message to the embedding page. Dropped before the channel is open; the page's welcome message triggers what it needs
 * then.
 * @template {keyof FrameReports} Name
 * @param {Name} what
 * @param {FrameReports[Name]} [detail]
 */
export const send = (what, detail) => port?.postMessage([what, detail]);

/**
 * Sets the handler of a message from the page.
 * @template {keyof FrameCommands} Name
 * @param {Name} what
 * @param {(detail: Received[Name]) => void} fn
 */
export const on = (what, fn) => { handlers[what] = /** @type {(detail: unknown) => void} */ (fn); };

/** Resolves with the page's welcome message. */
export const ready = new Promise((/** @type {(welcome: Greeting) => void} */ resolve) => { resolveReady = resolve; });

/**
 * The signed-in user with valid details; only id and hash if the checking code cannot be loaded.
 * @param {GivenPerson | null} person @returns {Promise<Person | null>}
 */
const checked = async (person) => person && import('./check-visitor-details.js').then(({ factsOf }) => factsOf(person, (text) => send('warn', text)), () => ({ id: person.id, hash: person.hash }));

if (framed) {
  byId('talk').hidden = true;
  host.ready = ready.then(({ person, page }) => {
    host.person = person;
    Object.assign(host, page);
  });
  window.addEventListener('message', ({ source, origin, data, ports }) => {
    if (source !== window.parent || !sites.has(origin) || data?.[0] !== 'sohbet:welcome' || !ports[0]) return;
    port = ports[0];
    port.onmessage = async ({ data: [what, detail] }) => handlers[what]?.(what === 'identify' ? await checked(detail) : detail);
    const welcome = /** @type {Welcome} */ (data[1]);
    checked(welcome.person).then((person) => resolveReady({ ...welcome, person }));
  });
  // The embedding page's origin is not known yet; the policy (frame-ancestors) ensures that it is a listed one.
  window.parent.postMessage('sohbet:hello', '*');
}
