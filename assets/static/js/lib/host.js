// Around this conversation: nothing, on our own page, or the page of another site, which frame.js of the widget speaks with.

export const host = {
  /** Where the visitor is. */
  url: location.origin + location.pathname,
  title: document.title,
  /** Who the site around says that this is: {id, hash, name?, phone?, email?}; hash proves id. */
  person: null,
  /** Settled when url and person are known. */
  ready: Promise.resolve(),
  /** Told when the server does not believe in person. */
  doubted: () => {},
};
