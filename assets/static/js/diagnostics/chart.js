// A line chart of the last hour, as SVG.
import { make } from '../lib/dom.js';
import { clock } from '../lib/format-time.js';

const SVG = 'http://www.w3.org/2000/svg';
const WIDTH = 300;
const HEIGHT = 72;

/**
 * @template {keyof SVGElementTagNameMap} Name
 * @param {Name} name
 * @param {Record<string, string | number>} attributes
 */
function shape(name, attributes) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, String(value));
  return node;
}

/** A chart: title, current value, and the line with its maximum and its start time. */
export class Chart {
  #now = make('p', { className: 'now' });
  #svg = shape('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none', role: 'img' });
  #from = make('span');
  #top = make('span');
  #say;

  /** `say` formats a value. @param {string} title @param {(value: number | null) => string} say */
  constructor(title, say) {
    this.#say = say;
    this.title = title;
    this.node = make('article', { className: 'chart' }, make('h3', {}, title), this.#now, this.#svg,
      make('p', { className: 'range' }, this.#from, this.#top));
  }

  /** Draws points, oldest first. null makes a gap. @param {{at: Date, value: number | null}[]} points */
  show(points) {
    const values = points.map((p) => p.value).filter((v) => v !== null);
    const last = points.at(-1)?.value ?? null;
    const highest = Math.max(...values, 0);
    this.#now.textContent = this.#say(last);
    this.#from.textContent = points.length > 1 ? clock(points[0].at) : '';
    this.#top.textContent = values.length ? `↑ ${this.#say(highest)}` : '';
    this.#svg.setAttribute('aria-label', `${this.title}: ${this.#say(last)}`);
    const x = (/** @type {number} */ i) => (points.length > 1 ? (i * WIDTH) / (points.length - 1) : WIDTH);
    const y = (/** @type {number} */ v) => HEIGHT - 2 - (highest ? (v / highest) * (HEIGHT - 6) : 0);
    let path = '';
    let drawing = false;
    points.forEach((p, i) => {
      if (p.value === null) {
        drawing = false;
        return;
      }
      // A single point between two gaps is drawn as a short stroke.
      path += drawing ? `L${x(i).toFixed(1)} ${y(p.value).toFixed(1)}` : `M${x(i).toFixed(1)} ${y(p.value).toFixed(1)}h.1`;
      drawing = true;
    });
    this.#svg.replaceChildren(
      shape('line', { class: 'floor', x1: 0, x2: WIDTH, y1: HEIGHT - 1, y2: HEIGHT - 1 }),
      ...(path ? [shape('path', { class: 'line', d: path })] : []),
    );
  }
}
