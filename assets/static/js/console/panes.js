// Which panes are seen: three from 1200 px, two from 800, one below. What does not fit comes in front, with a way back.
import { byId } from '../lib/dom.js';

const ONE = matchMedia('(max-width: 49.99rem)');
const THREE = matchMedia('(min-width: 75rem)');

const desk = byId('desk');

/** Only one pane is seen at a time. */
export const narrow = () => ONE.matches;
/** The visitor's facts stand beside the conversation. */
export const wide = () => THREE.matches;

/** Shows 'list' or 'talk' where there is room for one; the phone's own "back" returns to the list. */
export function show(view) {
  if (view === 'talk' && desk.dataset.view !== 'talk' && narrow()) history.pushState({ talk: true }, '');
  desk.dataset.view = view;
  if (view === 'list') facts(false);
}

/** Whether the facts are in front of the conversation. */
export const factsInFront = () => desk.dataset.facts === 'front' && !wide();

/** Brings the facts in front, or puts them back. */
export function facts(on) {
  if (on) desk.dataset.facts = 'front'; else delete desk.dataset.facts;
  byId('facts-open').setAttribute('aria-expanded', String(on));
}
