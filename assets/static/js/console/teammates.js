// What the other agents do: who is there, who looks at a conversation, and who is typing in one.
import { t } from '../lib/i18n.js';
import { TypingIn } from '../lib/typing.js';
import { fold } from './canned-replies.js';
/** @import { Connection } from '../lib/connection.js' */

/** @typedef {{agent: Protocol.AgentReference, thread: string, note: boolean}} Typist */

/** Events: `team` (who is there has changed), `thread` (detail: the id of the conversation in which something has changed). */
export class Teammates extends /** @type {new () => TypedEventTarget<{team: Event, thread: CustomEvent<string>}>} */ (EventTarget) {
  #me;
  /** @type {Map<string, Protocol.AgentReference[]>} */
  #viewing = new Map();
  /** @type {Map<string, Typist>} */
  #typists = new Map(); // by conversation and agent
  #typing = new TypingIn((key, name) => {
    const thread = this.#typists.get(key)?.thread;
    if (name === null) this.#typists.delete(key);
    if (thread) this.#tell(thread);
  });
  /** The enabled agents. @type {Protocol.AgentStatus[]} */
  team = [];

  /** @param {Connection} connection @param {() => number | undefined} me the id of the signed-in agent, once known */
  constructor(connection, me) {
    super();
    this.#me = me;
    connection.on('agents_presence', (team) => {
      this.team = team;
      this.dispatchEvent(new Event('team'));
    });
    connection.on('agent_viewing', ({ thread_id: thread, agents }) => {
      if (agents.length) this.#viewing.set(thread, agents); else this.#viewing.delete(thread);
      this.#tell(thread);
    });
    connection.on('agent_typing', ({ thread_id: thread, agent, typing, note }) => {
      if (agent.id === this.#me()) return; // in another window
      const key = `${thread} ${agent.id}`;
      if (typing) this.#typists.set(key, { agent, thread, note });
      this.#typing.update(key, typing, agent.name);
    });
  }

  /** The status of the signed-in agent. */
  get mine() { return this.team.find((one) => one.id === this.#me()); }

  /** All agents but the signed-in one. */
  get others() { return this.team.filter((one) => one.id !== this.#me()); }

  /** The other agents with a name that has a word beginning with a folded text, as suggestions for a note. @param {string} query */
  suggested(query) {
    return this.others.filter(({ name }) => fold(name).split(/\s+/u).some((word) => word.startsWith(query)))
      .map((who) => ({ title: `@${who.name}`, about: this.word(who), text: `@${who.name} ` }));
  }

  /** Whether an agent is there, in one word. @param {Protocol.AgentStatus} who */
  word(who) { return t(who.online ? who.away ? 'console.agent_away' : 'console.online' : 'console.offline'); }

  /** The other agents who look at a conversation. @param {string} thread */
  viewing(thread) { return (this.#viewing.get(thread) ?? []).filter((agent) => agent.id !== this.#me()); }

  /** The other agents who are typing in a conversation. @param {string} thread */
  typing(thread) { return [...this.#typists.values()].filter((one) => one.thread === thread); }

  /** An agent's message arrived; that typing has ended may come later, or not at all. @param {string} thread @param {number} agent */
  wrote(thread, agent) { this.#typing.update(`${thread} ${agent}`, false); }

  /** Forgets who looks at what: after a connect the server tells it again. */
  reset() {
    for (const thread of [...this.#viewing.keys()]) {
      this.#viewing.delete(thread);
      this.#tell(thread);
    }
  }

  /** @param {string} thread */
  #tell(thread) { this.dispatchEvent(new CustomEvent('thread', { detail: thread })); }
}
