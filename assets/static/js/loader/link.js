// The frame, and the private line to it. The frame says hello to whoever holds it, without a word that matters; it gets one end
// of a channel from us, addressed to our origin alone, and checks in turn whose page this is.

const PATIENCE = 5_000;

export class Link {
  #address;
  #box;
  #greeting;
  #failed;
  #frame = null;
  #port = null;
  #timer = 0;
  #hellos = 0; // of this frame

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
      this.#hellos++;
      const { port1, port2 } = new MessageChannel();
      this.#port?.close();
      this.#port = port1;
      port1.onmessage = ({ data: [what, detail] }) => heard[what]?.(detail);
      source.postMessage(['sohbet:welcome', this.#greeting()], address.origin, [port2]);
      box.show('there');
    });
  }

  /** Makes the frame, once. */
  load() {
    if (this.#frame) return;
    const frame = this.#frame = this.#box.frame(this.#address.href);
    this.#hellos = 0;
    let loads = 0;
    // What loads without a hello is no chat: an error page in place of one that reloads. The two come in either order.
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

  /** @returns {boolean} whether there is a frame to hear it; what is said before it listens is in the greeting. */
  tell(what, detail) {
    this.#port?.postMessage([what, detail]);
    return Boolean(this.#port);
  }

  /** Waits for the frame's hello. One that comes late is welcome too. */
  #expect() {
    this.#port?.close();
    this.#port = null;
    clearTimeout(this.#timer);
    this.#box.show('wait');
    this.#timer = setTimeout(() => {
      this.#failed();
      this.#box.show('lost');
    }, PATIENCE);
  }
}
