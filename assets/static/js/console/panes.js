// Which panes are visible: three from 1200 px, two from 800, one below. On narrower screens the visitor pane opens in front of
// the others.
import { byId } from '../lib/dom.js';

const ONE = matchMedia('(max-width: 49.99rem)');
const THREE = matchMedia('(min-width: 75rem)');

const desk = byId('desk');

/** Whether only one pane is visible at a time. */
export const narrow = () => ONE.matches;
/** Whether the visitor pane is next to the conversation. */
export const wide = () => THREE.matches;

/** Shows 'list' or 'talk' if only one pane fits; the phone's Back button returns to the list. @param {'list' | 'talk'} view */
export function show(view) {
  if (view === 'talk' && desk.dataset.view !== 'talk' && narrow()) history.pushState({ talk: true }, '');
  desk.dataset.view = view;
  if (view === 'list') showDetailsPane(false);
}

/** Whether the visitor pane is in front of the conversation. */
export const detailsInFront = () => desk.dataset.facts === 'front' && !wide();

/** Shows the visitor pane in front, or hides it. @param {boolean} on */
export function showDetailsPane(on) {
  if (on) desk.dataset.facts = 'front'; else delete desk.dataset.facts;
  byId('facts-open').setAttribute('aria-expanded', String(on));
}
