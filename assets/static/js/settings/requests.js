// The requests of the settings page.
import { APIError, csrf, get as ask } from '../lib/api.js';

export const get = () => ask('../api/settings');

/** Changes settings; returns what is wrong with them by name, and then nothing was changed. @param {Record<string, string | null>} changes @returns {Promise<Record<string, string>>} */
export async function save(changes) {
  const response = await fetch('../api/settings', {
    method: 'POST', headers: { 'Content-Type': 'application/json', 'X-CSRF-Token': csrf }, body: JSON.stringify(changes),
  });
  const answer = await response.json().catch(() => null);
  if (answer?.errors) return answer.errors;
  if (!response.ok || !answer) throw new APIError((answer?.code ?? 'failed').toLowerCase(), '', response.status);
  return {};
}
