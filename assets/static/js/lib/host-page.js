// The page around this chat: the chat page itself, or another site's page that embeds it (see widget/parent-channel.js).

export const host = {
  /** The URL of the page that the visitor is on. */
  url: location.origin + location.pathname,
  title: document.title,
  /**
   * The signed-in user as given by the embedding site; hash proves the id.
   * @type {Person | null}
   */
  person: null,
  /** Resolves when url and person are known. @type {Promise<unknown>} */
  ready: Promise.resolve(),
  /** Called when the server refuses the hash of person. */
  identityRefused: () => {},
};
