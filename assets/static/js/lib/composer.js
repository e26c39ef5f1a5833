// The composer: grows with its text, sends on Enter, saves the draft. Also takes files and voice messages.
import { byId, showProblem } from './dom.js';
import { t } from './i18n.js';
import { LONGEST, runes } from './message-text.js';
import { fileTools, PendingAttachments } from './pending-attachments.js';
/** @import { Attachment } from './pending-attachments.js' */

const WARN_FROM = LONGEST - 500;
const number = new Intl.NumberFormat(document.documentElement.lang);

/** Whether this browser can record; it cannot in pages opened by plain HTTP. */
const canRecord = () => Boolean(navigator.mediaDevices && globalThis.MediaRecorder);

export class Composer {
  #text = byId('text');
  #send = byId('send');
  #count = byId('count');
  #problem = byId('composer-problem');
  #mic = byId('mic');
  #attachments;
  #files = true;
  /** @type {import('./voice-recorder.js').Recorder | null} */
  #recorder = null;
  #save;
  #saveTimer = 0;

  /**
   * @param {object} on
   * @param {(text: string, attachments: Attachment[]) => void} on.send gets a text within the limit, which is blank only if there are attachments
   * @param {() => void} on.typing called at every change that leaves text
   * @param {() => void} on.stopped called when the text is emptied or the field loses the focus
   * @param {(draft: string) => void} on.save stores the draft
   */
  constructor(on) {
    this.#save = on.save;
    const problem = (/** @type {string} */ text) => showProblem(this.#problem, text);
    this.#attachments = new PendingAttachments({ changed: () => this.#refresh(), problem });
    this.#mic.addEventListener('click', async () => {
      try {
        const [{ Recorder }] = await Promise.all([import('./voice-recorder.js'), fileTools()]);
        this.#recorder ??= new Recorder({ done: (blob, seconds) => this.#attachments.addRecording(blob, seconds), problem });
        this.#recorder.start();
      } catch {
        problem(t('talk.part_missing'));
      }
    });
    this.#mic.addEventListener('pointerdown', (event) => event.preventDefault()); // keeps the focus in the text field, as below
    const emojiButton = byId('emoji');
    emojiButton.addEventListener('click', () => import('./emoji-picker.js').then(({ toggle }) => toggle(emojiButton), () => problem(t('talk.part_missing'))));
    const form = byId('composer');
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      this.#submit(on);
    });
    this.#text.addEventListener('keydown', (event) => {
      // keyCode 229: an input method is still composing (Safari resets isComposing too early).
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
    // The button must not take the focus from the text field: on phones the keyboard would close.
    this.#send.addEventListener('pointerdown', (event) => event.preventDefault());
    window.addEventListener('pagehide', () => this.keep());
    this.#refresh();
    // The code for files is loaded when the user is about to write and the page is idle, so that it is available even without a
    // connection later.
    const fetchTools = () => (window.requestIdleCallback ?? setTimeout)(() => fileTools().catch(() => { /* tried again with the first file */ }));
    this.#text.addEventListener('focus', fetchTools, { once: true });
  }

  get value() { return this.#text.value; }

  /** Sets the text, e.g. to a saved draft. @param {string | null} text */
  fill(text) {
    this.#text.value = text ?? '';
    this.#refresh();
  }

  /** Sets whether files and voice messages can be attached. Files already attached are kept, but not shown, while they cannot. @param {boolean} on */
  setFilesEnabled(on) {
    this.#files = on;
    this.#attachments.enabled = on;
    for (const id of ['attach', 'shoot']) byId(id).hidden = !on;
    this.#refresh();
  }

  /** Shows an error message; '' removes it. @param {string} text */
  problem(text) { showProblem(this.#problem, text); }

  focus() { this.#text.focus({ preventScroll: true }); }

  /** @param {string} text */
  label(text) {
    this.#text.placeholder = text;
    byId('text-label').textContent = text;
  }

  /** Saves the draft now. */
  keep() {
    clearTimeout(this.#saveTimer);
    this.#save(this.#text.value);
  }

  /** @param {{send: (text: string, attachments: Attachment[]) => void, stopped: () => void}} on */
  #submit(on) {
    // Keeps the indentation, but removes blank lines around the text.
    const text = this.#text.value.trimEnd().replace(/^\s*\n/u, '');
    if ((this.#files && this.#attachments.busy) || (!text.trim() && this.#noAttachments)) return;
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
    on.send(text, this.#files ? this.#attachments.takeAll() : []);
    this.focus();
  }

  /** There are no attachments to send. */
  get #noAttachments() { return !this.#files || this.#attachments.empty; }

  #refresh() {
    const text = this.#text.value;
    const blank = !text.trim() && this.#noAttachments;
    const busy = this.#files && this.#attachments.busy;
    this.#send.setAttribute('aria-disabled', String(blank || busy));
    this.#mic.hidden = !blank || busy || !this.#files || !canRecord();
    // The number of code units is an upper bound for code points, so short texts need no counting.
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
