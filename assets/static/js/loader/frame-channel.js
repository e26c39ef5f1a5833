// The frame, and the message channel to it. The frame posts a hello without data to its parent; we answer with one end of a
// channel, sent only to our own origin, and the frame checks the origin of this page.

/** @import { Panel } from './panel.js' */

const PATIENCE = 5_000;

export class FrameChannel {
  #address;
  #panel;
  #greeting;
  #failed;
  /** @type {HTMLIFrameElement | null} */
  #frame = null;
  /** @type {MessagePort | null} */
  #port = null;
  #timer = 0;
  #hellos = 0; // from this frame

  /**
   * @param {URL} address of the frame
   * @param {object} o
   * @param {Panel} o.panel contains the frame
   * @param {() => Welcome} o.greeting returns the data of the welcome message
   * @param {() => void} o.failed called when the frame does not report in time
   * @param {{[Name in keyof FrameReports]: (detail: FrameReports[Name]) => void}} o.handlers handlers of the frame's messages
   */
  constructor(address, { panel, greeting, failed, handlers }) {
    this.#address = address;
    this.#panel = panel;
    this.#greeting = greeting;
    this.#failed = failed;
    window.addEventListener('message', ({ source, origin, data }) => {
      const chat = this.#frame?.contentWindow;
      if (!chat || source !== chat || origin !== address.origin || data !== 'sohbet:hello') return;
      clearTimeout(this.#timer);
      this.#hellos++;
      const { port1, port2 } = new MessageChannel();
      this.#port?.close();
      this.#port = port1;
      port1.onmessage = ({ data: [what, detail] }) => /** @type {Lookup<(detail: unknown) => void>} */ (handlers)[what]?.(detail);
      chat.postMessage(['sohbet:welcome', this.#greeting()], address.origin, [port2]);
      panel.show('there');
    });
  }

  /** Creates the frame, once. */
  load() {
    if (this.#frame) return;
    const frame = this.#panel.frame(this.#address.href);
    this.#frame = frame;
    this.#hellos = 0;
    let loads = 0;
    // A load without a hello means an error page in place of a chat that reloaded. The two events come in either order.
    frame.addEventListener('load', () => {
      loads++;
      setTimeout(() => { if (this.#frame === frame && this.#port && this.#hellos < loads) this.#expect(); }, 1_000);
    });
    this.#expect();
  }

  reload() {
    this.reset();
    this.load();
  }

  reset() {
    clearTimeout(this.#timer);
    this.#frame?.remove();
    this.#frame = this.#port = null;
  }

  /**
   * @template {keyof FrameCommands} Name
   * @param {Name} what
   * @param {FrameCommands[Name]} [detail]
   * @returns {boolean} whether the channel is open; what was not sent before is part of the welcome message
   */
  send(what, detail) {
    this.#port?.postMessage([what, detail]);
    return Boolean(this.#port);
  }

  /** Waits for the frame's hello. One that comes after the timeout still opens the channel. */
  #expect() {
    this.#port?.close();
    this.#port = null;
    clearTimeout(this.#timer);
    this.#panel.show('wait');
    this.#timer = setTimeout(() => {
      this.#failed();
      this.#panel.show('lost');
    }, PATIENCE);
  }
}
