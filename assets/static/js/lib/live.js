// The connection: one socket, requests that answer, and an honest state.
/* global io */

const ACK_TIMEOUT = 10_000;
const CHECK_TIMEOUT = 4_000;
// Who was blocked before this page came hears of no end of it, so it asks now and then.
const BLOCKED_PAUSE = 30_000;
// Within so long all pages that are asked to look anew do so, each at its own moment.
const SPREAD = 8_000;

/** Why the server refused a request; `code` is "timeout" or "offline" when it never answered. */
export class Refused extends Error {
  constructor(code, message = '', retryAfter = 0, field = '') {
    super(message || code);
    this.code = code;
    /** what in the request is wrong; '' when nothing particular is */
    this.field = field;
    /** milliseconds until trying again makes sense; 0 when unknown */
    this.retryAfter = retryAfter;
  }
}

/**
 * Events: `state` (detail: the new state), `ready` (greeted, after every connect), `refused` (detail: why greeting failed), `stale`
 * (what is shown may be out of date, and is greeted for anew).
 */
export class Live extends EventTarget {
  #socket = null;
  #soon = 0;
  #state = 'connecting';
  #greet;
  #probe;

  /**
   * @param {() => Promise<void>} greet runs after every connect (join, admin_join);
   *   only when it succeeds does the state become "online".
   * @param {(timeout: number) => Promise<void>} probe asks something cheap that the server answers.
   */
  constructor(greet, probe) {
    super();
    this.#greet = greet;
    this.#probe = probe;
    if (typeof io !== 'function') {
      this.#become('missing');
      return;
    }
    // WebSocket first saves a round trip; polling is tried at once where a proxy refuses it.
    const socket = io({
      path: new URL('socket.io/', location).pathname, transports: ['websocket', 'polling'], tryAllTransports: true,
      reconnectionDelay: 400, reconnectionDelayMax: 4_000, timeout: 8_000, autoConnect: false,
    });
    this.#socket = socket;
    socket.on('connect', () => this.#connected());
    socket.on('connect_error', () => {
      // A proxy may also let WebSockets open and then starve them, which only shows as a timeout.
      socket.io.opts.transports = ['polling', 'websocket'];
      this.#become('offline');
    });
    socket.on('disconnect', (reason) => {
      this.#become('offline');
      // After these the client waits to be told; we want to come back.
      if (reason === 'io server disconnect') setTimeout(() => socket.connect(), 500 + Math.random() * 1_000);
    });
    // The server may have missed what others told it, so that this page did.
    socket.on('resync', () => {
      clearTimeout(this.#soon);
      this.#soon = setTimeout(() => {
        this.dispatchEvent(new Event('stale'));
        this.greet();
      }, Math.random() * SPREAD);
    });
    // A page with an open socket is not kept in the back/forward cache; pageshow connects again.
    window.addEventListener('pagehide', () => socket.disconnect());
    window.addEventListener('online', () => this.#check());
    window.addEventListener('pageshow', (event) => { if (event.persisted) this.#check(); });
    document.addEventListener('visibilitychange', () => { if (!document.hidden) this.#check(); });
  }

  get state() { return this.#state; }
  /** Connected and greeted. */
  get online() { return this.#state === 'online'; }
  /** Connected; perhaps not greeted yet. */
  get connected() { return Boolean(this.#socket?.connected); }

  start() { this.#socket?.connect(); }

  on(event, fn) { this.#socket?.on(event, fn); return this; }

  /** Sends without waiting for an answer; forgotten when there is no connection. */
  tell(event, payload) {
    if (this.#socket?.connected) this.#socket.emit(event, payload);
  }

  /** Sends and resolves with the server's ack, or throws Refused. */
  async ask(event, payload, timeout = ACK_TIMEOUT) {
    const socket = this.#socket;
    if (!socket?.connected) throw new Refused('offline');
    let onLeave;
    const left = new Promise((_, reject) => {
      onLeave = () => reject(new Refused('offline'));
      socket.once('disconnect', onLeave);
    });
    try {
      // admin_join takes no payload; an undefined one must not become null on the wire.
      const args = payload === undefined ? [] : [payload];
      const asked = socket.timeout(timeout).emitWithAck(event, ...args).catch(() => { throw new Refused('timeout'); });
      const answer = await Promise.race([asked, left]);
      if (answer?.ok === false) {
        const { code = 'internal_error', message = '', field = '', retry_after_ms: wait } = answer.error ?? {};
        throw new Refused(code, message, wait ?? answer.retry_after_ms ?? 0, field);
      }
      return answer ?? {};
    } finally {
      socket.off('disconnect', onLeave);
    }
  }

  /** Greets again on the open connection, e.g. when there is now somebody to introduce. */
  greet() {
    if (this.#socket?.connected) this.#connected();
  }

  /** Closes and opens the connection, so that the handshake is made anew. */
  restart() {
    if (!this.#socket) return;
    this.#socket.disconnect();
    this.#become('offline');
    this.#socket.connect();
  }

  async #connected() {
    const id = this.#socket.id;
    try {
      await this.#greet();
    } catch (error) {
      if (this.#socket.id !== id || !this.#socket.connected) return; // the next connect greets again
      this.dispatchEvent(new CustomEvent('refused', { detail: error }));
      const blocked = error.code === 'blocked';
      if (blocked || error.code === 'unauthorized') this.#become('refused');
      if (error.code === 'unauthorized') return; // trying again would not help
      setTimeout(() => { if (this.#socket.id === id) this.#connected(); }, blocked ? BLOCKED_PAUSE : Math.max(error.retryAfter || 0, 2_000));
      return;
    }
    if (!this.#socket.connected || this.#socket.id !== id) return;
    this.#become('online');
    this.dispatchEvent(new Event('ready'));
  }

  /** After sleep or a change of network the socket may only look alive: ask, and reconnect if nothing answers. */
  async #check() {
    const socket = this.#socket;
    if (!socket) return;
    if (!socket.connected) {
      socket.connect();
      return;
    }
    try {
      await this.#probe(CHECK_TIMEOUT);
    } catch (error) {
      if (error.code === 'timeout' && socket.connected) socket.io.engine.close();
    }
  }

  #become(state) {
    if (state === this.#state) return;
    this.#state = state;
    this.dispatchEvent(new CustomEvent('state', { detail: state }));
  }
}
