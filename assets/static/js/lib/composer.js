// The box to write in: grows, sends on Enter, keeps the draft, never loses text. Files and voices go with it.
import { byId, showProblem } from './dom.js';
import { t } from './i18n.js';
import { LONGEST, runes } from './text.js';
import { fileTools, Tray } from './tray.js';

const WARN_FROM = LONGEST - 500;
const number = new Intl.NumberFormat(document.documentElement.lang);

/** Whether this browser can record here; pages opened by plain http cannot. */
const canRecord = () => Boolean(navigator.mediaDevices?.getUserMedia && globalThis.MediaRecorder);

export class Composer {
  #text = byId('text');
  #send = byId('send');
  #count = byId('count');
  #problem = byId('composer-problem');
  #mic = byId('mic');
  #tray;
  #files = true;
  #recorder = null;
  #save;
  #saveTimer = 0;

  /**
   * @param {object} on
   * @param {(text: string, attachments: object[]) => void} on.send gets text that is not too long; without attachments it is not blank
   * @param {() => void} on.typing runs at every change that leaves text
   * @param {() => void} on.stopped runs when the box is emptied or left
   * @param {(draft: string) => void} on.save keeps the draft
   */
  constructor(on) {
    this.#save = on.save;
    const problem = (text) => showProblem(this.#problem, text);
    this.#tray = new Tray({ changed: () => this.#refresh(), problem });
    this.#mic.addEventListener('click', async () => {
      try {
        const [{ Recorder }] = await Promise.all([import('./recorder.js'), fileTools()]);
        this.#recorder ??= new Recorder({ done: (blob, seconds) => this.#tray.voice(blob, seconds), problem });
        this.#recorder.start();
      } catch {
        problem(t('talk.part_missing'));
      }
    });
    this.#mic.addEventListener('pointerdown', (event) => event.preventDefault()); // as below
    const smile = byId('emoji');
    smile.addEventListener('click', () => import('./emoji.js').then(({ toggle }) => toggle(smile), () => problem(t('talk.part_missing'))));
    const form = byId('composer');
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      this.#submit(on);
    });
    this.#text.addEventListener('keydown', (event) => {
      // keyCode 229: an input method is still composing (Safari clears isComposing too early)
      if (event.key !== 'Enter' || event.shiftKey || event.isComposing || event.keyCode === 229) return;
      event.preventDefault();
      this.#submit(on);
    });
    this.#text.addEventListener('input', () => {
      this.#refresh();
      clearTimeout(this.#saveTimer);
      this.#saveTimer = setTimeout(() => this.#save(this.#text.value), 250);
      if (this.#text.value.trim()) on.typing(); else on.stopped();
    });
    this.#text.addEventListener('blur', () => on.stopped());
    // The button must not take the focus from the box: on phones the keyboard would close.
    this.#send.addEventListener('pointerdown', (event) => event.preventDefault());
    window.addEventListener('pagehide', () => this.keep());
    this.#refresh();
    // What files need comes when somebody is about to write and the page has nothing else to do, so that it is here when the
    // connection is not.
    const fetchTools = () => (window.requestIdleCallback ?? setTimeout)(() => fileTools().catch(() => { /* asked for again with the first file */ }));
    this.#text.addEventListener('focus', fetchTools, { once: true });
  }

  get value() { return this.#text.value; }

  /** Fills the box, e.g. with a kept draft. */
  fill(text) {
    this.#text.value = text ?? '';
    this.#refresh();
  }

  /** Says whether files and voices may go with the text; those that wait in the tray stay there meanwhile. */
  takeFiles(on) {
    this.#files = on;
    this.#tray.open = on;
    for (const id of ['attach', 'shoot']) byId(id).hidden = !on;
    this.#refresh();
  }

  /** Says why something did not work; '' takes it back. */
  problem(text) { showProblem(this.#problem, text); }

  focus() { this.#text.focus({ preventScroll: true }); }

  label(text) {
    this.#text.placeholder = text;
    byId('text-label').textContent = text;
  }

  /** Saves the draft now. */
  keep() {
    clearTimeout(this.#saveTimer);
    this.#save(this.#text.value);
  }

  #submit(on) {
    // Indentation is the writer's; blank lines around the text are not.
    const text = this.#text.value.trimEnd().replace(/^\s*\n/u, '');
    if ((this.#files && this.#tray.busy) || (!text.trim() && this.#bare)) return;
    const n = runes(text);
    if (n > LONGEST) {
      showProblem(this.#problem, t('talk.too_long', { n: number.format(n), max: number.format(LONGEST) }));
      this.#text.setAttribute('aria-invalid', 'true');
      this.focus();
      return;
    }
    this.#text.value = '';
    this.keep();
    this.#refresh();
    on.stopped();
    on.send(text, this.#files ? this.#tray.empties() : []);
    this.focus();
  }

  /** Nothing but text would go. */
  get #bare() { return !this.#files || this.#tray.empty; }

  #refresh() {
    const text = this.#text.value;
    const blank = !text.trim() && this.#bare;
    const busy = this.#files && this.#tray.busy;
    this.#send.setAttribute('aria-disabled', String(blank || busy));
    this.#mic.hidden = !blank || busy || !this.#files || !canRecord();
    // Code units are an upper bound for code points, so short texts need no counting.
    const n = text.length >= WARN_FROM ? runes(text.trim()) : 0;
    this.#count.textContent = n >= WARN_FROM ? `${number.format(n)} / ${number.format(LONGEST)}` : '';
    this.#count.classList.toggle('over', n > LONGEST);
    if (n <= LONGEST && this.#text.hasAttribute('aria-invalid')) {
      showProblem(this.#problem, '');
      this.#text.removeAttribute('aria-invalid');
    }
    if (CSS.supports('field-sizing', 'content')) return;
    this.#text.style.blockSize = 'auto';
    this.#text.style.blockSize = `${this.#text.scrollHeight + 2}px`;
  }
}
