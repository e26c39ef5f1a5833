// The player of a voice message: play button, position and length.
import { icon, make, styles } from './dom.js';
import { clockOf } from './format-sizes-and-durations.js';
import { t } from './i18n.js';

await styles('media-player');

/** @type {HTMLAudioElement | null} */
let playing = null; // only one voice message plays at a time

/**
 * Fills the placeholder made by voice-player-placeholder.js.
 * @param {HTMLElement} node
 * @param {string} address
 * @param {number} seconds the length; 0 = unknown
 */
export function fill(node, address, seconds) {
  const audio = make('audio', { src: address, preload: 'metadata' });
  const face = make('span', { className: 'player-face' }, icon('play'));
  const button = make('button', { type: 'button', className: 'player-button' }, face);
  const scrub = make('input', { type: 'range', className: 'scrub', min: '0', max: '1000', step: '1', value: '0', attrs: { 'aria-label': t('talk.scrub') } });
  const time = make('span', { className: 'player-time number' });
  node.replaceChildren(button, scrub, time, audio);
  let length = seconds;
  let held = false;

  const show = () => {
    const at = held ? length * scrub.valueAsNumber / 1000 : audio.currentTime;
    const share = length ? Math.min(1, at / length) : 0;
    if (!held) scrub.valueAsNumber = Math.round(share * 1000);
    scrub.style.setProperty('--at', `${share * 100}%`);
    scrub.setAttribute('aria-valuetext', `${clockOf(at)} / ${clockOf(length)}`);
    time.textContent = clockOf(audio.paused && !at && !held ? length : at);
    face.replaceChildren(icon(audio.paused ? 'play' : 'pause'));
    button.setAttribute('aria-label', t(audio.paused ? 'talk.play' : 'talk.pause'));
  };
  // Recordings of browsers contain no length; seeking to the end makes the browser determine it.
  audio.addEventListener('loadedmetadata', () => {
    if (audio.duration === Infinity) audio.currentTime = 1e7;
  });
  audio.addEventListener('durationchange', () => {
    if (!Number.isFinite(audio.duration) || !audio.duration) return;
    if (audio.paused && audio.currentTime > 0 && audio.currentTime >= audio.duration - 0.05) audio.currentTime = 0;
    length = audio.duration;
    show();
  });
  audio.addEventListener('error', () => {
    node.classList.add('broken');
    button.disabled = scrub.disabled = true;
    time.textContent = t('talk.unplayable');
    time.after(make('a', { href: address, download: '', title: t('talk.save'), attrs: { 'aria-label': t('talk.save') } }, icon('download')));
  });
  for (const event of ['play', 'pause', 'timeupdate', 'seeked']) audio.addEventListener(event, show);
  audio.addEventListener('ended', () => { audio.currentTime = 0; });
  button.addEventListener('click', () => {
    if (!audio.paused) { audio.pause(); return; }
    if (playing && playing !== audio) playing.pause();
    playing = audio;
    audio.play().catch(() => { /* shown by the error event, or the user paused meanwhile */ });
  });
  scrub.addEventListener('input', () => { held = true; show(); });
  scrub.addEventListener('change', () => {
    held = false;
    audio.currentTime = length * scrub.valueAsNumber / 1000;
  });
  show();
}
