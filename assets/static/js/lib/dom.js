// Functions to make and find elements. Text enters the page only as text nodes: no module parses HTML.

const SVG = 'http://www.w3.org/2000/svg';

/**
 * The element with this id, which the page must have.
 * @template {string} ID
 * @param {ID} id
 */
export function byId(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`page has no #${id}`);
  return /** @type {ElementWithID<ID>} */ (found);
}

/**
 * Makes an element. `props` are properties (`className`, `onclick`), except `data` (dataset) and `attrs` (attributes); children
 * are nodes or text.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {ElementProps<Tag>} props
 * @param {...Child} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function make(tag, props = {}, ...children) {
  const { data = {}, attrs = {}, ...rest } = props;
  const node = Object.assign(document.createElement(tag), rest);
  Object.assign(node.dataset, data);
  for (const [name, value] of Object.entries(attrs)) node.setAttribute(name, value);
  node.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** @param {string} viewBox @param {string} className @param {string} id */
function sprite(viewBox, className, id) {
  const svg = document.createElementNS(SVG, 'svg');
  if (className) svg.setAttribute('class', className);
  svg.setAttribute('viewBox', viewBox);
  svg.setAttribute('aria-hidden', 'true');
  const use = document.createElementNS(SVG, 'use');
  use.setAttribute('href', `#${id}`);
  svg.append(use);
  return svg;
}

/** An icon of the page's sprite. @param {string} name */
export const icon = (name) => sprite('0 0 20 20', 'icon', `i-${name}`);

/** The product's logo, as the face of the team. */
export const mark = () => make('span', { className: 'mark', attrs: { 'aria-hidden': 'true' } }, sprite('0 0 32 32', '', 'i-glass'));

/** Shows an error message in its place below a field; an empty text hides it. @param {HTMLElement} node @param {string} text */
export function showProblem(node, text) {
  node.replaceChildren(...(text ? [icon('alert'), make('span', {}, text)] : []));
  node.hidden = !text;
}

/** @type {Map<string, Promise<unknown>>} */
const loaded = new Map();

/** Loads static/css/NAME.css, once. Resolves when it is applied; also when it cannot be loaded, since the page works without it. @param {string} name */
export function styles(name) {
  if (!loaded.has(name)) {
    loaded.set(name, new Promise((resolve) => {
      const link = document.createElement('link');
      link.rel = 'stylesheet';
      link.onload = link.onerror = resolve;
      // Relative to the page's own style sheet, whose address contains the build's fingerprint.
      link.href = new URL(`../css/${name}.css`, /** @type {HTMLLinkElement} */ (document.querySelector('link[rel=stylesheet]')).href).href;
      document.head.append(link);
    }));
  }
  return loaded.get(name);
}
