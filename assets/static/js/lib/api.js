// JSON requests to our own server. Paths are relative to the page's URL, because the server may be served below a path prefix;
// only /admin/audit, /admin/diagnostics, /admin/people, /admin/settings, /invite/TOKEN and /password/TOKEN are in subfolders.

/** The error of a failed request: a lower-case `code` like those of the socket, and the HTTP status, 0 if there was no response. */
export class APIError extends Error {
  /** @param {string} code @param {string} [message] */
  constructor(code, message, status = 0, retryAfter = 0) {
    super(message || code);
    this.code = code;
    this.status = status;
    /** seconds to wait before trying again; 0 = unknown */
    this.retryAfter = retryAfter;
  }
}

export const csrf = /** @type {HTMLMetaElement | null} */ (document.querySelector('meta[name="csrf-token"]'))?.content ?? '';

/**
 * The answer to a request, by the path as it is written in a page: relative, perhaps from a subfolder, with or without a query.
 * @template {'GET' | 'POST'} Method
 * @template {string} Path
 * @typedef {Path extends `../${infer Rest}` ? Answer<Method, Rest> : Path extends `${infer Rest}?${string}` ? Answer<Method, Rest>
 *   : `${Method} /${Path}` extends keyof Protocol.Answers ? Protocol.Answers[`${Method} /${Path}`] : never} Answer
 */

/** @typedef {{keepalive?: boolean}} How keepalive: the request outlives the page */

/**
 * @template {'GET' | 'POST'} Method
 * @template {string} Path
 * @param {Method} method
 * @param {Path} path
 * @param {object} [body]
 * @param {How} how
 * @returns {Promise<Answer<Method, Path>>}
 */
async function request(method, path, body, { keepalive = false } = {}) {
  let response;
  const stop = new AbortController();
  setTimeout(() => stop.abort(), 20_000); // AbortSignal.timeout needs Safari 16
  try {
    response = await fetch(path, {
      method,
      keepalive,
      headers: {
        Accept: 'application/json',
        ...(body !== undefined && { 'Content-Type': 'application/json' }),
        ...(method !== 'GET' && csrf && { 'X-CSRF-Token': csrf }),
      },
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: stop.signal,
    });
  } catch {
    throw new APIError('network', '', 0);
  }
  const answer = await response.json().catch(() => null);
  // An expired session may also be answered with a redirect to the login page.
  if (response.redirected && answer === null) throw new APIError('unauthorized', '', 401);
  if (!response.ok || answer === null || answer.success === false) {
    const text = answer?.error ?? answer?.message ?? '';
    const code = (answer?.code ?? (response.status === 401 ? 'unauthorized' : response.status === 429 ? 'rate_limit_exceeded' : 'failed')).toLowerCase();
    throw new APIError(code, text, response.status, Number(response.headers.get('Retry-After')) || 0);
  }
  return answer;
}

/** @template {string} Path @param {Path} path */
export const get = (path) => request('GET', path);
/** @template {string} Path @param {Path} path @param {object} body @param {How} how */
export const post = (path, body = {}, how = {}) => request('POST', path, body, how);
