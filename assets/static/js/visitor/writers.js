// Shows visitors who writes for the team: names and pictures at the messages, who joined, and in the header who answered last.
import { byId, make, styles } from '../lib/dom.js';
import { agentFace } from '../lib/face.js';
import { lang } from '../lib/i18n.js';
/** @import { Entry } from '../lib/message-entry.js' */
/** @import { MessageList } from '../lib/message-list.js' */

await styles('writers');

/** Most faces in the header. */
const FACES = 3;
/** Here and not in the page because most visitors have met no agent yet. @type {Record<string, {joined: string, another: string}>} */
const TEXTS = {
  en: { joined: '{name} joined the conversation', another: '{name} is answering now' },
  tr: { joined: '{name} görüşmeye katıldı', another: 'Artık {name} yanıtlıyor' },
};
const texts = TEXTS[lang] ?? TEXTS.en;
/** The id of an agent that visitors see as the team. */
const { unnamed } = byId('talk').dataset;
// The header while only the team has answered.
const team = /** @type {Element} */ (byId('team-face').firstElementChild);
const talker = /** @type {Element} */ (document.querySelector('.who bdi'));
const title = talker.textContent;
/** @type {HTMLElement | null} */
const brand = document.querySelector('.who .of');
const alone = brand?.hidden;
/** The entries of the list, once some are shown. @type {Entry[]} */
let entries = [];

/** Shows who wrote the messages of a list, and in the header who did last. @param {MessageList} list */
export function show(list) {
  if (!list.decorate) {
    const { marks } = list;
    list.marks = (entry) => {
      const all = document.createDocumentFragment();
      all.append(name(entry), marks(entry));
      return all;
    };
    list.decorate = (entry, i, all) => {
      entries = all;
      decorate(list, entry, i);
    };
  }
  list.window.still(() => list.regroup());
  /** @type {Map<number, Protocol.AgentReference>} */
  const last = new Map();
  for (let i = entries.length - 1; i >= 0 && last.size < FACES; i--) {
    const by = writer(entries[i]);
    if (by && !last.has(by.id)) last.set(by.id, by);
  }
  const writers = [...last.values()];
  byId('team-face').replaceChildren(...(writers.length ? writers.map(agentFace) : [team]));
  talker.textContent = writers[0]?.name ?? title;
  if (brand) brand.hidden = Boolean(alone) && !writers.length;
}

/** The agent who wrote a message, if visitors see the name. @param {Entry} entry */
function writer({ own, by }) { return !own && by && String(by.id) !== unnamed ? by : null; }

/** @param {Entry} entry */
function name(entry) {
  const by = writer(entry);
  return by ? make('span', { className: 'writer', attrs: { dir: 'auto' } }, by.name) : '';
}

/** @param {MessageList} list @param {Entry} entry @param {number} i */
function decorate(list, entry, i) {
  const { node } = entry;
  const by = writer(entry);
  if (!node || !by) return;
  if (!node.dataset.writer) {
    node.dataset.writer = String(by.id);
    node.querySelector('.author')?.replaceChildren(agentFace(by));
    // An element that was made before this module was loaded has no name.
    if (!node.querySelector('.writer')) node.querySelector('.meta')?.prepend(name(entry));
  }
  const text = list.more ? '' : joined(by, i); // with older messages it may not be the agent's first
  node.querySelector('.joined')?.remove();
  if (text) node.querySelector('.line')?.before(make('p', { className: 'joined', attrs: { dir: 'auto' } }, text));
}

/** The line above an agent's first message in the conversation; '' for none. @param {Protocol.AgentReference} by @param {number} i */
function joined(by, i) {
  let text = texts.joined;
  for (let before = i - 1; before >= 0; before--) {
    const other = entries[before];
    if (other.own || other.system) continue;
    if (other.by?.id === by.id) return '';
    text = texts.another;
  }
  return text.replace('{name}', by.name);
}
