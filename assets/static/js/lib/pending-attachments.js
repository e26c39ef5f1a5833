// The attachments of the message being written: chosen, pasted, dropped, photographed or recorded, and previewed before sending.
import { size } from './format-sizes-and-durations.js';
import { byId, icon, make } from './dom.js';
import { t } from './i18n.js';
import { player } from './voice-player-placeholder.js';

const MOST = 10;

/**
 * A file to be sent with a message; `seconds` is the length of a recording.
 * @typedef {{type: 'image' | 'audio' | 'file', blob: Blob, name: string, size: number, width?: number, height?: number, seconds?: number}} Attachment
 * @typedef {Attachment & {address: string, node: HTMLElement}} Shown
 */

/** The code for files is loaded with the first file, including the upload code, so that it is available when the file is sent. */
export async function fileTools() {
  try {
    const [files] = await Promise.all([import('./prepare-file.js'), import('./upload.js')]);
    return files;
  } catch {
    throw Object.assign(new Error(t('talk.part_missing')), { name: 'Unfit' });
  }
}

export class PendingAttachments {
  #list = byId('tray');
  #drop = byId('drop');
  /** @type {Shown[]} */
  #items = [];
  #busy = 0;
  #enabled = true;
  #changed;
  #problem;

  /**
   * @param {object} on
   * @param {() => void} on.changed called when an attachment is added or removed
   * @param {(text: string) => void} on.problem shows why a file cannot be sent; '' removes the message
   */
  constructor({ changed, problem }) {
    this.#changed = changed;
    this.#problem = problem;
    for (const [button, input] of /** @type {const} */ ([['attach', 'pick'], ['shoot', 'camera']])) {
      const field = byId(input);
      byId(button).addEventListener('click', () => field.click());
      field.addEventListener('change', () => {
        this.add([...field.files ?? []]);
        field.value = ''; // so that the same file can be chosen again
      });
    }
    byId('text').addEventListener('paste', (event) => {
      const files = [...event.clipboardData?.files ?? []];
      // A table copied from an office program comes both as text and as a picture of it: the text is wanted.
      if (!this.#enabled || !files.length || event.clipboardData?.types.includes('text/plain')) return;
      event.preventDefault();
      this.add(files);
    });
    this.#dropping(byId('conversation'));
  }

  /** Whether files can be added; when disabled, it keeps its attachments but hides them. @param {boolean} on */
  set enabled(on) {
    this.#enabled = on;
    this.#list.hidden = !on || this.empty;
  }

  get items() { return this.#items; }
  get empty() { return this.#items.length === 0; }
  /** Whether files are still being prepared. */
  get busy() { return this.#busy > 0; }

  /** Adds the files that can be sent. @param {File[]} files */
  async add(files) {
    this.#problem('');
    const free = MOST - this.#items.length - this.#busy;
    if (files.length > free) this.#problem(t('talk.unfit_many', { n: MOST }));
    for (const file of files.slice(0, Math.max(0, free))) {
      this.#busy++;
      this.#changed();
      try {
        this.#append(await (await fileTools()).prepare(file));
      } catch (error) {
        if (!(error instanceof Error && error.name === 'Unfit')) throw error;
        this.#problem(error.message);
      } finally {
        this.#busy--;
        this.#changed();
      }
    }
  }

  /** Adds a recording. @param {Blob} blob @param {number} seconds */
  addRecording(blob, seconds) {
    const ext = /mp4/.test(blob.type) ? 'm4a' : /ogg/.test(blob.type) ? 'ogg' : 'webm';
    this.#append({ type: 'audio', blob, name: `${t('talk.voice')}.${ext}`, size: blob.size, seconds });
  }

  /** Returns all attachments and removes them. */
  takeAll() {
    const items = this.#items;
    this.#items = [];
    for (const item of items) URL.revokeObjectURL(item.address);
    this.#list.replaceChildren();
    this.#list.hidden = true;
    this.#changed();
    return items;
  }

  /** @param {Attachment} added */
  #append(added) {
    const address = URL.createObjectURL(added.blob);
    const remove = make('button', {
      type: 'button', className: 'tray-remove', title: t('talk.take_out'), attrs: { 'aria-label': `${t('talk.take_out')}: ${added.name}` },
      onclick: () => this.#remove(item),
    }, icon('close'));
    const about = make('span', { className: 'tray-about' }, make('b', { dir: 'auto' }, added.name), make('span', { className: 'quiet number' }, size(added.size)));
    const inside = {
      image: () => [make('img', { src: address, alt: added.name })],
      audio: () => [player(address, { seconds: added.seconds })],
      file: () => [make('span', { className: 'paper' }, icon('page')), about],
    }[added.type]();
    /** @type {Shown} */
    const item = { ...added, address, node: make('li', { className: `tray-item tray-${added.type}` }, ...inside, remove) };
    this.#items.push(item);
    this.#list.append(item.node);
    this.#list.hidden = false;
    this.#changed();
  }

  /** @param {Shown} item */
  #remove(item) {
    const at = this.#items.indexOf(item);
    this.#items.splice(at, 1);
    URL.revokeObjectURL(item.address);
    item.node.remove();
    this.#list.hidden = this.empty;
    this.#problem('');
    this.#changed();
    /** @type {HTMLElement | null | undefined} */ ((this.#items[at] ?? this.#items.at(-1))?.node.querySelector('.tray-remove'))?.focus();
    if (this.empty) byId('text').focus({ preventScroll: true });
  }

  /** @param {HTMLElement} place */
  #dropping(place) {
    let inside = 0;
    const withFiles = (/** @type {DragEvent} */ event) => this.#enabled && event.dataTransfer?.types.includes('Files');
    const show = (/** @type {boolean} */ on) => { this.#drop.hidden = !on; };
    place.addEventListener('dragenter', (event) => { if (withFiles(event)) show(++inside > 0); });
    place.addEventListener('dragleave', (event) => { if (withFiles(event)) show(--inside > 0); });
    place.addEventListener('dragover', (event) => {
      if (!withFiles(event)) return;
      event.preventDefault();
      /** @type {DataTransfer} */ (event.dataTransfer).dropEffect = 'copy';
    });
    place.addEventListener('drop', (event) => {
      inside = 0;
      show(false);
      if (!withFiles(event)) return;
      event.preventDefault();
      this.add([.../** @type {DataTransfer} */ (event.dataTransfer).files]);
    });
  }
}

