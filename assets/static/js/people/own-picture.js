// The agent's own picture on the page of the team: choosing, cropping, removing.
import { APIError, csrf, post } from '../lib/api.js';
import { byId, showProblem } from '../lib/dom.js';
import { agentFace } from '../lib/face.js';
import { t } from '../lib/i18n.js';

const SIDE = 384; // pixels; the server stores less

/** The middle of a picture as a small square JPEG; the file itself if this browser cannot read it. @param {File} file @returns {Promise<Blob>} */
async function square(file) {
  try {
    const picture = await createImageBitmap(file, { imageOrientation: 'from-image' });
    const side = Math.min(picture.width, picture.height);
    const canvas = document.createElement('canvas');
    canvas.width = canvas.height = SIDE;
    const page = /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d'));
    page.fillStyle = '#fff';
    page.fillRect(0, 0, SIDE, SIDE);
    page.imageSmoothingQuality = 'high';
    page.drawImage(picture, (picture.width - side) / 2, (picture.height - side) / 2, side, side, 0, 0, SIDE, SIDE);
    return await new Promise((resolve) => { canvas.toBlob((blob) => resolve(blob ?? file), 'image/jpeg', 0.92); });
  } catch {
    return file;
  }
}

/** @param {Blob} picture @returns {Promise<Protocol.Agent>} */
async function upload(picture) {
  const form = new FormData();
  form.append('file', picture, 'picture');
  const response = await fetch('../api/me/picture', { method: 'POST', body: form, headers: { 'X-CSRF-Token': csrf } });
  const answer = await response.json();
  if (!response.ok) throw new APIError((answer.code ?? 'failed').toLowerCase(), answer.error, response.status);
  return answer;
}

/**
 * Sets up the section; returns a function that shows an account's picture in it.
 * @param {(account: Protocol.Agent) => Promise<void>} changed
 * @param {(error: unknown) => string} words returns the text for an error
 */
export function ownPicture(changed, words) {
  const file = byId('picture-file');
  const choose = byId('picture-choose');
  const remove = byId('picture-remove');

  /** @param {Protocol.Agent} account */
  const draw = (account) => {
    byId('picture-face').replaceChildren(agentFace(account));
    remove.hidden = !account.avatar_url;
  };

  /** @param {() => Promise<Protocol.Agent>} act @param {string} done */
  const save = async (act, done) => {
    choose.disabled = remove.disabled = true;
    showProblem(byId('picture-problem'), '');
    byId('picture-said').textContent = '';
    try {
      const account = await act();
      await changed(account);
      draw(account);
      byId('picture-said').textContent = done;
    } catch (error) {
      showProblem(byId('picture-problem'), words(error));
    } finally {
      choose.disabled = remove.disabled = false;
    }
    choose.focus();
  };

  choose.addEventListener('click', () => file.click());
  remove.addEventListener('click', () => save(() => post('../api/me/picture/remove'), t('people.picture_removed')));
  file.addEventListener('change', async () => {
    const [chosen] = file.files ?? [];
    if (!chosen) return;
    file.value = '';
    await save(async () => upload(await square(chosen)), t('people.picture_saved'));
  });
  return draw;
}
