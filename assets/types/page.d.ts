// Types of the pages and their helpers, for the type check of the browser's code (tsconfig.json).

type ElementWithID<ID extends string> = ID extends keyof PageElements ? PageElements[ID] : HTMLElement;

/** What make() of lib/dom.js sets: properties, the dataset and attributes. */
type ElementProps<Tag extends keyof HTMLElementTagNameMap> = Partial<Omit<HTMLElementTagNameMap[Tag], 'style'>> & {
  data?: Record<string, string | number>;
  attrs?: Record<string, string>;
};

type Child = Node | string | null | undefined | false;

/** A map from words, of which it has only some. */
type Lookup<Value> = Record<string, Value | undefined>;

/** An EventTarget that dispatches the events of a map from their types to Event or CustomEvent. */
interface TypedEventTarget<Events> {
  addEventListener<Type extends keyof Events & string>(type: Type, listener: (event: Events[Type]) => void, options?: AddEventListenerOptions | boolean): void;
  removeEventListener<Type extends keyof Events & string>(type: Type, listener: (event: Events[Type]) => void): void;
  dispatchEvent(event: Event): boolean;
}

/** What a browser keeps of the visitor. */
interface Visitor {
  name: string;
  phone?: string;
  /** the visitor's only credential; must not enter a URL */
  thread: string | null;
  /** up to which message the team has read */
  read?: number;
  /** the newest message of the team that was seen in any tab */
  seen?: number;
  /** whether the visitor has left an address when asked for one */
  reach?: boolean;
  /** the id of the embedding site's signed-in user */
  person?: string;
}

/** What failed requests throw, Refused or APIError; other exceptions have none of these fields. */
interface Failure extends Error {
  code?: string;
  status?: number;
  field?: string;
  retryAfter?: number;
  rev?: number;
}

interface Window {
  /** What the policy of lib/register-service-worker.js needs; its address stands for the TrustedScriptURL. */
  trustedTypes?: { createPolicy(name: string, rules: { createScriptURL(input: string): string }): { createScriptURL(input: string): string } };
}

/** The Socket.IO client, a script of its own where it is not part of the page's. */
declare const io: typeof import('socket.io-client').io;

/** What /widget.js is made with, see loader/main.js and widget.go. */
declare const SETTINGS: {
  origins: string[];
  locale: string;
  colors: [light: string, dark: string] | null;
  texts: Record<string, WidgetTexts>;
};

interface WidgetTexts {
  direction: string;
  title: string;
  open: string;
  close: string;
  unread_one: string;
  unread_other: string;
  failed: string;
  again: string;
}
