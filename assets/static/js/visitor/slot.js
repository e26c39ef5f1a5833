// The place above the composer where offers.js draws, and which of its drawings stands there.
import { byId, make } from '../lib/dom.js';

export class Offers {
  #which;
  #kind = '';
  #place = make('section', { className: 'offer', id: 'offer', hidden: true, attrs: { 'aria-live': 'polite' } });

  /** @param {() => ?[string, object]} which the kind of offer that fits now, by its name in offers.js, and what it needs; null = none */
  constructor(which) {
    this.#which = which;
    byId('composer').before(this.#place);
  }

  /** Shows what fits now. One that stands there already is left as it is, with what was typed into it. */
  async refresh() {
    const [kind, what] = this.#which() ?? ['', null];
    if (kind === this.#kind) return;
    this.#kind = kind;
    const drawn = kind ? await import('./offers.js').catch(() => null) : {};
    if (kind !== this.#kind) return; // another one came while it loaded
    if (!drawn) {
      this.#kind = ''; // no connection; the next refresh tries again
      return;
    }
    const focused = this.#place.contains(document.activeElement);
    this.#place.replaceChildren(...(kind ? drawn[kind](what) : []));
    this.#place.dataset.kind = kind;
    this.#place.hidden = !kind;
    if (focused) byId('text').focus({ preventScroll: true });
  }
}
