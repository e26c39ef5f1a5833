// The area above the composer for prompts (state-prompts.js), and the choice of the current one.
import { byId, make } from '../lib/dom.js';

/** @typedef {typeof import('./state-prompts.js')} Prompts */
/** @typedef {['blocked' | 'ended', {}] | ['closed', Parameters<Prompts['closed']>[0]] | ['away', Parameters<Prompts['away']>[0]]} Prompt */

export class PromptArea {
  #which;
  #kind = '';
  #place = make('section', { className: 'offer', id: 'offer', hidden: true, attrs: { 'aria-live': 'polite' } });

  /** @param {() => ?Prompt} which returns the current prompt: its function in state-prompts.js and that function's argument; null = none */
  constructor(which) {
    this.#which = which;
    byId('composer').before(this.#place);
  }

  /** Shows the current prompt. One that is shown already is left unchanged, with what was typed into it. */
  async refresh() {
    const [kind, what] = this.#which() ?? ['', {}];
    if (kind === this.#kind) return;
    this.#kind = kind;
    const prompts = kind && await import('./state-prompts.js').catch(() => null);
    if (kind !== this.#kind) return; // the prompt changed while the module was loading
    if (kind && !prompts) {
      this.#kind = ''; // it could not be loaded; the next refresh tries again
      return;
    }
    const focused = this.#place.contains(document.activeElement);
    this.#place.replaceChildren(...(kind && prompts ? /** @type {(what: object) => Node[]} */ (prompts[kind])(what) : []));
    this.#place.dataset.kind = kind;
    this.#place.hidden = !kind;
    if (focused) byId('text').focus({ preventScroll: true });
  }
}
