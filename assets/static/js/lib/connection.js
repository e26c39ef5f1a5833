// The connection to the server: one socket, requests with acknowledgements, and the connection's state.

const ACK_TIMEOUT = 10_000;
const CHECK_TIMEOUT = 4_000;
// A visitor who was blocked before the page was loaded gets no event when the block ends, so the page asks at this interval (ms).
const BLOCKED_PAUSE = 30_000;
// After `resync`, every page waits a random time up to this (ms), so that they do not all ask at once.
const SPREAD = 2_000;

/** The server refused a request; `code` is "timeout" or "offline" if it never answered. */
export class Refused extends Error {
  /** @param {string} code @param {number} [rev] */
  constructor(code, message = '', retryAfter = 0, field = '', rev) {
    super(message || code);
    this.code = code;
    /** the field of the request that is wrong; '' if none in particular */
    this.field = field;
    /** milliseconds to wait before trying again; 0 = unknown */
    this.retryAfter = retryAfter;
    /** the thread's revision that the refusal follows from, if known */
    this.rev = rev;
  }
}

/**
 * @typedef {'connecting' | 'missing' | 'offline' | 'refused' | 'online'} State missing: the Socket.IO client could not be loaded
 * @typedef {{state: CustomEvent<State>, ready: Event, refused: CustomEvent<Failure>, stale: Event}} Events
 */

/**
 * Events: `state` (detail: the new state), `ready` (joined, after every connect), `refused` (detail: the error of joining),
 * `stale` (the page may have missed events; it joins again to refetch its state).
 */
export class Connection extends /** @type {new () => TypedEventTarget<Events>} */ (EventTarget) {
  /** @type {import('socket.io-client').Socket | null} */
  #socket = null;
  #soon = 0;
  /** @type {State} */
  #state = 'connecting';
  #join;
  #probe;

  /**
   * @param {() => Promise<void>} join runs after every connect (join, admin_join); the state becomes "online" only when it succeeds.
   * @param {(timeout: number) => Promise<unknown>} probe sends a cheap request that the server answers.
   */
  constructor(join, probe) {
    super();
    this.#join = join;
    this.#probe = probe;
    if (typeof io !== 'function') {
      this.#become('missing');
      return;
    }
    // WebSocket first saves a round trip; if a proxy refuses it, polling is tried at once.
    const socket = io({
      path: new URL('socket.io/', location.href).pathname, transports: ['websocket', 'polling'], tryAllTransports: true,
      reconnectionDelay: 400, reconnectionDelayMax: 4_000, timeout: 8_000, autoConnect: false,
    });
    this.#socket = socket;
    socket.on('connect', () => this.#connected());
    socket.on('connect_error', () => {
      // A proxy may also let WebSockets open but pass no data, which appears only as a timeout.
      socket.io.opts.transports = ['polling', 'websocket'];
      this.#become('offline');
    });
    socket.on('disconnect', (reason) => {
      this.#become('offline');
      // After a disconnect by the server the Socket.IO client does not reconnect by itself.
      if (reason === 'io server disconnect') setTimeout(() => socket.connect(), 500 + Math.random() * 1_000);
    });
    // The server process may have missed events of other processes, and thus this page too.
    socket.on('resync', () => {
      clearTimeout(this.#soon);
      this.#soon = setTimeout(() => {
        this.dispatchEvent(new Event('stale'));
        this.rejoin();
      }, Math.random() * SPREAD);
    });
    // A page with an open socket is not kept in the back/forward cache; pageshow reconnects.
    window.addEventListener('pagehide', () => socket.disconnect());
    window.addEventListener('online', () => this.#check());
    window.addEventListener('pageshow', (event) => { if (event.persisted) this.#check(); });
    document.addEventListener('visibilitychange', () => { if (!document.hidden) this.#check(); });
  }

  get state() { return this.#state; }
  /** Connected and joined. */
  get online() { return this.#state === 'online'; }
  /** Connected, but perhaps not joined yet. */
  get connected() { return Boolean(this.#socket?.connected); }

  start() { this.#socket?.connect(); }

  /**
   * @template {keyof Protocol.ServerEvents} Name
   * @param {Name} event
   * @param {(payload: Protocol.ServerEvents[Name]) => void} fn
   */
  on(event, fn) {
    this.#socket?.on(/** @type {string} */ (event), fn);
    return this;
  }

  /**
   * Sends an event without waiting for an answer; dropped if there is no connection.
   * @template {keyof Protocol.ClientEvents} Name
   * @param {Name} event
   * @param {Protocol.ClientEvents[Name]} payload
   */
  emit(event, payload) {
    if (this.#socket?.connected) this.#socket.emit(event, payload);
  }

  /**
   * Sends an event and resolves with the server's ack, or throws Refused.
   * @template {keyof Protocol.ClientEvents} Name
   * @param {Name} event
   * @param {Protocol.ClientEvents[Name]} [payload]
   * @returns {Promise<Protocol.Acks[Name]>}
   */
  async request(event, payload, timeout = ACK_TIMEOUT) {
    const socket = this.#socket;
    if (!socket?.connected) throw new Refused('offline');
    let onLeave = () => {};
    const left = new Promise((_, reject) => {
      onLeave = () => reject(new Refused('offline'));
      socket.once('disconnect', onLeave);
    });
    try {
      // admin_join takes no payload; undefined would be sent as null.
      const args = payload === undefined ? [] : [payload];
      const asked = socket.timeout(timeout).emitWithAck(event, ...args).catch(() => { throw new Refused('timeout'); });
      const answer = /** @type {(Protocol.Acks[Name] & {ok: true}) | Protocol.Refusal} */ (await Promise.race([asked, left]));
      if (answer.ok) return answer;
      const { code, message, field, retry_after_ms: wait, rev } = answer.error;
      throw new Refused(code, message, wait, field, rev);
    } finally {
      socket.off('disconnect', onLeave);
    }
  }

  /** Joins again on the open connection, e.g. when the visitor has given a name. */
  rejoin() {
    if (this.#socket?.connected) this.#connected();
  }

  /** Reconnects, so that there is a new handshake. */
  restart() {
    if (!this.#socket) return;
    this.#socket.disconnect();
    this.#become('offline');
    this.#socket.connect();
  }

  async #connected() {
    const id = this.#socket?.id;
    const connected = () => this.#socket?.connected && this.#socket.id === id;
    try {
      await this.#join();
    } catch (error) {
      if (!connected()) return; // the next connect joins again
      this.dispatchEvent(new CustomEvent('refused', { detail: error }));
      const { code, retryAfter } = /** @type {Failure} */ (error);
      if (code === 'blocked' || code === 'unauthorized') this.#become('refused');
      if (code === 'unauthorized') return; // retrying would not help
      setTimeout(() => { if (connected()) this.#connected(); }, code === 'blocked' ? BLOCKED_PAUSE : Math.max(retryAfter || 0, 2_000));
      return;
    }
    if (!connected()) return;
    this.#become('online');
    this.dispatchEvent(new Event('ready'));
  }

  /**
   * After sleep or a change of network the socket may be dead without a disconnect event: sends a probe, and reconnects if it
   * times out.
   */
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
      if (/** @type {Failure} */ (error).code === 'timeout' && socket.connected) socket.io.engine.close();
    }
  }

  /** @param {State} state */
  #become(state) {
    if (state === this.#state) return;
    this.#state = state;
    this.dispatchEvent(new CustomEvent('state', { detail: state }));
  }
}
