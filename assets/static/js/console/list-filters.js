// The search field and the filter buttons above the list, with the number of conversations for each.
import { byId } from '../lib/dom.js';
import { count, lang, t } from '../lib/i18n.js';
/** @import { ThreadList } from './thread-list.js' */
/** @import { Filter, ThreadStore } from './thread-store.js' */

const PAUSE = 200;
const exact = new Intl.NumberFormat(lang);
const rough = new Intl.NumberFormat(lang, { notation: 'compact', maximumFractionDigits: 1 });
const short = (/** @type {number} */ n) => (n < 10_000 ? exact : rough).format(n);

/** @param {ThreadStore} threads @param {ThreadList} list */
export function listFilters(threads, list) {
  const field = byId('search');
  const group = byId('filters');
  const buttons = [.../** @type {NodeListOf<HTMLElement>} */ (group.querySelectorAll('[data-filter]'))];
  const filterOf = (/** @type {HTMLElement} */ button) => /** @type {Filter} */ (button.dataset.filter);
  const found = byId('found');
  let timer = 0;

  const turn = (/** @type {() => void} */ act) => { list.toTop(); act(); };
  field.addEventListener('input', () => {
    clearTimeout(timer);
    timer = setTimeout(() => turn(() => threads.search(field.value.trim())), PAUSE);
  });
  field.addEventListener('keydown', (event) => {
    if (event.key === 'ArrowDown') {
      event.preventDefault();
      list.focus();
    }
    if (event.key !== 'Escape' || !field.value) return;
    event.preventDefault();
    event.stopPropagation();
    field.value = '';
    field.dispatchEvent(new Event('input'));
  });
  for (const button of buttons) button.addEventListener('click', () => turn(() => threads.turnTo(filterOf(button))));

  const show = () => {
    const { counts, query, filter } = threads;
    group.hidden = Boolean(query);
    found.hidden = !query;
    if (query) {
      found.textContent = counts?.found === undefined ? t('console.searching') : count('console.found', counts.found);
      return;
    }
    for (const button of buttons) {
      const n = counts?.[filterOf(button)];
      const place = /** @type {Element} */ (button.querySelector('.filter-count'));
      place.textContent = n === undefined ? '' : short(n);
      button.setAttribute('aria-pressed', String(filterOf(button) === filter));
      button.classList.toggle('calls', filterOf(button) === 'waiting' && Number(n) > 0);
    }
  };
  threads.addEventListener('change', show);
  show();
  return { focus: () => { field.focus(); field.select(); } };
}
