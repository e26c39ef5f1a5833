// Passkeys (WebAuthn): asking the browser to make or use one. The options and answers are JSON with bytes in base64url, which older browsers
// do not convert themselves.

/** Whether the browser has passkeys, which takes HTTPS or localhost. */
export const supported = 'PublicKeyCredential' in window;

/** @param {string} text */
const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, '+').replace(/_/g, '/')), (c) => c.charCodeAt(0));

/** @param {ArrayBuffer} buffer */
const base64url = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, '-').replace(/\//g, '_').replace(/=/g, '');

/**
 * What the browser's answer to a ceremony says, with the fields of its response.
 * @param {PublicKeyCredential} credential
 * @param {Record<string, ArrayBuffer | null>} response
 */
const answer = (credential, response) => ({
  id: credential.id,
  rawId: base64url(credential.rawId),
  type: credential.type,
  clientExtensionResults: credential.getClientExtensionResults(),
  response: Object.fromEntries(Object.entries(response).map(([name, value]) => [name, value && base64url(value)])),
});

/** Asks for a new passkey; throws if the user declines. @param {Protocol.PasskeyCreation} options */
export async function createPasskey({ publicKey }) {
  const made = /** @type {PublicKeyCredential} */ (await navigator.credentials.create({
    publicKey: {
      ...publicKey,
      challenge: bytes(publicKey.challenge),
      user: { ...publicKey.user, id: bytes(publicKey.user.id) },
      excludeCredentials: (publicKey.excludeCredentials ?? []).map(({ id }) => ({ id: bytes(id), type: 'public-key' })),
    },
  }));
  const { clientDataJSON, attestationObject } = /** @type {AuthenticatorAttestationResponse} */ (made.response);
  return answer(made, { clientDataJSON, attestationObject });
}

/** Asks for a passkey that exists; throws if the user declines. @param {Protocol.PasskeyRequest} options */
export async function usePasskey({ publicKey }) {
  const used = /** @type {PublicKeyCredential} */ (await navigator.credentials.get({
    publicKey: { rpId: publicKey.rpId, userVerification: publicKey.userVerification, timeout: publicKey.timeout, challenge: bytes(publicKey.challenge) },
  }));
  const { clientDataJSON, authenticatorData, signature, userHandle } = /** @type {AuthenticatorAssertionResponse} */ (used.response);
  return answer(used, { clientDataJSON, authenticatorData, signature, userHandle });
}

/** Whether the user declined, or the passkey exists already. @param {unknown} error */
export const declined = (error) => error instanceof DOMException;
