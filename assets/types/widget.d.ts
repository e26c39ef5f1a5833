// What /widget.js (static/js/loader) and the chat in its frame (static/js/widget) exchange, and the functions that a site calls.

interface Person {
  id: string;
  hash: string;
  name?: string;
  phone?: string;
  email?: string;
}

/** A person as a site describes it; only id and hash are checked. */
interface GivenPerson {
  id: string;
  hash: string;
  name?: unknown;
  phone?: unknown;
  email?: unknown;
}

/** A page of the site. */
interface Place {
  url: string;
  title: string;
}

interface Welcome {
  open: boolean;
  /** the panel fills the screen */
  phone: boolean;
  person: GivenPerson | null;
  page: Place;
}

/** Messages to the frame, with their details. */
interface FrameCommands {
  open: { phone: boolean };
  close: undefined;
  identify: GivenPerson;
  page: Place;
  reset: undefined;
}

/** Messages of the frame, with their details. */
interface FrameReports {
  close: undefined;
  talk: boolean;
  unread: number;
  message: { from: 'team' | 'visitor'; type: Protocol.ContentType };
  doubted: undefined;
  warn: string;
}

interface Window {
  /** The function that sites call, or before the script has run what they have put in its place. */
  Sohbet?: { (name: string, ...rest: unknown[]): void; q?: [name: string, ...rest: unknown[]][]; loaded?: boolean; revive?: () => void };
  SohbetServer?: string;
}
