// The widget's button and panel, and their position on the page.
import { FULL_SCREEN, STYLES } from './styles.js';

const SVG = 'http://www.w3.org/2000/svg';
const EDGE = 20; // px from the edges of the window
const SIZE = 56;
const BUBBLE = 'M14 4.5c5.8 0 10 3.7 10 8.6s-4.2 8.6-10 8.6c-1 0-2-.1-2.9-.3L5.5 24l1.3-4.4C5 18 4 15.7 4 13.1c0-4.9 4.2-8.6 10-8.6z';
const FOLD = 'm7.5 11.5 6.5 6.5 6.5-6.5';
const FIXED = /fixed|sticky/;
const MODAL = CSS.supports('selector(:modal)') ? 'dialog:modal' : 'dialog[open]';
const PRESSABLE = 'a[href],button,input,select,textarea,summary,[role=button],[onclick]';

/**
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {string} [className]
 * @param {...(Node | string)} children
 */
function make(tag, className, ...children) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.append(...children);
  return node;
}

/** @param {string} className @param {string} d */
function drawing(className, d) {
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('class', className);
  svg.setAttribute('viewBox', '0 0 28 28');
  svg.setAttribute('aria-hidden', 'true');
  const path = document.createElementNS(SVG, 'path');
  path.setAttribute('d', d);
  svg.append(path);
  return svg;
}

export class Panel {
  #host = document.createElement('sohbet-chat');
  #root = make('div', 'root');
  #panel = make('div', 'panel');
  #launcher;
  #badge = make('span', 'badge');
  #said = make('span', 'said');
  #o;
  #unread = 0;
  #full = matchMedia(FULL_SCREEN);
  #chosen = false; // the site chose the distance from the bottom
  /** @type {HTMLElement[]} */
  #guards = [];
  /** @type {HTMLIFrameElement | null} */
  #frame = null;
  #timer = 0;

  /**
   * @param {object} o
   * @param {string} o.lang
   * @param {WidgetTexts} o.texts
   * @param {?[light: string, dark: string]} o.colors of the button, light and dark; null = default
   * @param {string} o.position "left", "right", "start" or "end", optionally followed by px from that side and px from the bottom
   * @param {string|undefined} o.theme "light" or "dark"; otherwise the visitor's system setting
   * @param {() => void} o.toggle
   * @param {() => void} o.close
   * @param {() => void} o.again tries to load the chat again
   */
  constructor(o) {
    this.#o = o;
    const { texts } = o;
    this.#launcher = make('button', 'launcher', drawing('talk', BUBBLE), drawing('fold', FOLD), this.#badge);
    this.#launcher.type = 'button';
    this.#launcher.setAttribute('aria-expanded', 'false');
    this.#launcher.setAttribute('aria-haspopup', 'dialog');
    this.#launcher.addEventListener('click', o.toggle);
    this.#badge.setAttribute('aria-hidden', 'true');
    this.#said.setAttribute('role', 'status');
    this.#panel.setAttribute('role', 'dialog');
    this.#panel.setAttribute('aria-label', texts.title);
    const again = make('button', '', texts.again);
    again.type = 'button';
    again.addEventListener('click', o.again);
    // Where the panel fills the screen, Tab must stay in it: leaving the frame focuses a guard, which focuses the frame again.
    this.#guards = [make('span', 'guard'), make('span', 'guard')];
    for (const guard of this.#guards) guard.addEventListener('focus', () => this.#frame?.focus());
    this.#panel.append(this.#guards[0], make('div', 'wait', make('i'), make('i'), make('i')), make('div', 'lost', texts.failed, again), this.#guards[1]);
    this.#root.append(this.#panel, this.#launcher, this.#said);
    this.#root.lang = o.lang;
    this.#root.dir = texts.direction;
    if (o.theme) this.#root.classList.add(o.theme);
    this.#paint();
    this.unread(0);
    this.#stand();

    const shadow = this.#host.attachShadow({ mode: 'closed' });
    shadow.append(this.#root);
    try {
      const sheet = new CSSStyleSheet();
      sheet.replaceSync(STYLES);
      shadow.adoptedStyleSheets = [sheet];
    } catch { // Safari before 16.4; there the site's style-src has to allow inline styles
      shadow.append(make('style', '', STYLES));
    }
    shadow.addEventListener('keydown', (event) => { if (/** @type {KeyboardEvent} */ (event).key === 'Escape' && this.isOpen) o.close(); });
    this.#host.popover = 'manual';
    for (const event of ['resize', 'scroll']) window.visualViewport?.addEventListener(event, () => this.#fit());
    window.addEventListener('resize', () => this.place());
    this.#full.addEventListener('change', () => this.#fit());
    // After a click, a site's notice may be gone, and the button can move back.
    document.addEventListener('click', () => setTimeout(() => this.place(), 400), { passive: true });
  }

  /**
   * Puts the button on the page, again if needed: a framework that renders the whole document removes unknown elements. It is a
   * sibling of the body, so that the body's filters, transforms and scrolling do not affect it, or a child of the page's modal
   * dialog, because everything outside of that is inert.
   */
  attach() {
    this.#timer = 0;
    const home = [...document.querySelectorAll(MODAL)].pop() ?? document.documentElement;
    if (this.#host.parentNode === home) return;
    if (this.#host.isConnected && home.moveBefore) {
      home.moveBefore(this.#host, null); // does not reload the frame
      this.#host.hidePopover?.();
    } else {
      home.append(this.#host);
    }
    this.#host.showPopover?.(); // in the top layer
  }

  /** Attaches now and after every change of the page, at most ten times a second. */
  watch() {
    this.attach();
    new MutationObserver(() => { this.#timer ||= setTimeout(() => this.attach(), 100); })
      .observe(document, { childList: true, subtree: true, attributeFilter: ['open'] });
  }

  get isOpen() { return this.#root.classList.contains('open'); }
  /** Whether the open panel fills the screen. */
  get isFull() { return this.#full.matches; }

  open() {
    this.#root.classList.add('open');
    this.#launcher.setAttribute('aria-expanded', 'true');
    this.#name();
    this.#fit();
    this.#frame?.focus();
  }

  close() {
    const inside = document.activeElement === this.#host;
    this.#root.classList.remove('open');
    this.#launcher.setAttribute('aria-expanded', 'false');
    this.#name();
    this.#fit();
    if (inside) this.#launcher.focus({ preventScroll: true });
  }

  /** Hides or shows the button. @param {boolean} on */
  hide(on) { this.#root.classList.toggle('gone', on); }

  /** @param {number} n */
  unread(n) {
    this.#unread = n;
    this.#badge.hidden = n === 0;
    this.#badge.textContent = n > 99 ? '99+' : String(n);
    this.#name();
    this.#said.textContent = n && !this.isOpen ? this.#counted() : '';
  }

  /** Adds the frame to the panel. @param {string} address */
  frame(address) {
    const frame = make('iframe');
    frame.title = this.#o.texts.title;
    frame.allow = 'microphone; autoplay; clipboard-write';
    frame.src = address;
    this.#frame = frame;
    this.#guards[1].before(frame);
    return frame;
  }

  /**
   * Shows the chat ("there") once the frame has reported. Until then the frame may contain the browser's error page, so the panel
   * shows in its place that the chat is loading ("wait") or cannot be loaded ("lost"), and keeps the button visible above it.
   * @param {'wait' | 'there' | 'lost'} state
   */
  show(state) {
    this.#root.dataset.state = state;
    this.#fit();
    if (this.isOpen) this.#frame?.focus();
  }

  /** Moves the button up if it would cover a fixed button of the site, unless the site chose the position. */
  place() {
    if (this.#chosen || this.isOpen || !this.#host.isConnected) return;
    let y = EDGE;
    for (let tries = 0; tries < 4; tries++) {
      const under = this.#under(y);
      if (!under) break;
      y = window.innerHeight - under.getBoundingClientRect().top + 12;
    }
    this.#set('--y', `${y < window.innerHeight / 2 ? y : EDGE}px`);
  }

  /** The site's button, link or field with a fixed position that ours would cover at y px above the bottom. @param {number} y */
  #under(y) {
    const { left } = this.#launcher.getBoundingClientRect();
    for (const dx of [4, SIZE / 2, SIZE - 4]) {
      for (const dy of [4, SIZE / 2, SIZE - 4]) {
        for (const node of document.elementsFromPoint(left + dx, window.innerHeight - y - dy)) {
          const button = node.closest(PRESSABLE);
          if (!button || button === this.#host) continue;
          for (let up = /** @type {Element | null} */ (button); up; up = up.parentElement) if (FIXED.test(getComputedStyle(up).position)) return button;
        }
      }
    }
    return null;
  }

  /** @param {string} name @param {string} value */
  #set(name, value) { this.#root.style.setProperty(name, value); }

  #stand() {
    const [side, x, y] = this.#o.position.trim().split(/[\s,]+/);
    const rtl = getComputedStyle(document.documentElement).direction === 'rtl';
    const left = side === 'left' || (side === 'start' ? !rtl : side !== 'right' && rtl);
    this.#chosen = y !== undefined;
    this.#root.classList.add(left ? 'left' : 'right');
    for (const [name, value] of [['--x', x], ['--y', y]]) this.#set(name, `${parseFloat(value) >= 0 ? parseFloat(value) : EDGE}px`);
  }

  #paint() {
    for (const [i, color] of (this.#o.colors ?? []).entries()) this.#set(i ? '--night' : '--day', color);
  }

  /** On a phone, fits the panel into the part of the window that the keyboard leaves. */
  #fit() {
    const full = this.isOpen && this.isFull;
    const closed = full && this.#root.dataset.state === 'there';
    const view = window.visualViewport;
    const style = this.#panel.style;
    if (closed) this.#panel.setAttribute('aria-modal', 'true'); else this.#panel.removeAttribute('aria-modal');
    for (const guard of this.#guards) if (closed) guard.tabIndex = 0; else guard.removeAttribute('tabindex');
    style.top = full && view ? `${view.offsetTop}px` : '';
    style.height = full && view ? `${view.height}px` : '';
    style.bottom = full && view ? 'auto' : '';
  }

  #counted() {
    const { texts, lang } = this.#o;
    return texts[new Intl.PluralRules(lang).select(this.#unread) === 'one' ? 'unread_one' : 'unread_other'].replace('{n}', String(this.#unread));
  }

  #name() {
    const { texts } = this.#o;
    const name = this.isOpen ? texts.close : texts.open;
    this.#launcher.setAttribute('aria-label', this.#unread && !this.isOpen ? `${name}, ${this.#counted()}` : name);
  }
}
