// The frame, and the private line to it. The frame says hello to whoever holds it, without a word that matters; it gets one end
// of a channel from us, addressed to our origin alone, and checks in turn whose page this is.

const PATIENCE = 20_000;

export class Link {
  #address;
  #box;
  #greeting;
  #failed;
  #frame = null;
  #port = null;
  #timer = 0;

  /**
   * @param {URL} address of the frame
   * @param {object} o
   * @param {Box} o.box where the frame goes
   * @param {() => object} o.greeting what the frame is told first
   * @param {() => void} o.failed runs when the frame does not come
   * @param {Object<string, (detail) => void>} o.heard what the frame may say
   */
  constructor(address, { box, greeting, failed, heard }) {
    this.#address = address;
    this.#box = box;
    this.#greeting = greeting;
    this.#failed = failed;
    window.addEventListener('message', ({ source, origin, data }) => {
      if (!this.#frame || source !== this.#frame.contentWindow || origin !== address.origin || data !== 'sohbet:hello') return;
      clearTimeout(this.#timer);
      const { port1, port2 } = new MessageChannel();
      this.#port?.close();
      this.#port = port1;
      port1.onmessage = ({ data: [what, detail] }) => heard[what]?.(detail);
      source.postMessage(['sohbet:welcome', this.#greeting()], address.origin, [port2]);
      box.arrived();
    });
    document.addEventListener('securitypolicyviolation', ({ blockedURI, effectiveDirective }) => {
      if (effectiveDirective === 'frame-src' && blockedURI.startsWith(address.origin)) this.#fail();
    });
  }

  /** Makes the frame, once. */
  load() {
    if (this.#frame) return;
    this.#frame = this.#box.frame(this.#address.href);
    this.#timer = setTimeout(() => this.#fail(), PATIENCE);
  }

  reload() {
    this.reset();
    this.load();
  }

  reset() {
    this.#frame?.remove();
    this.#frame = this.#port = null;
  }

  /** @returns {boolean} whether there is a frame to hear it; what is said before it listens is in the greeting. */
  tell(what, detail) {
    this.#port?.postMessage([what, detail]);
    return Boolean(this.#port);
  }

  #fail() {
    if (!this.#frame || this.#port) return;
    clearTimeout(this.#timer);
    this.#failed();
    this.#box.failed();
  }
}
