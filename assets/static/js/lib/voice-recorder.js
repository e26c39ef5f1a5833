// The recorder for voice messages: shows time and level, and can be finished or cancelled.
import { byId, make, styles } from './dom.js';
import { clockOf } from './format-sizes-and-durations.js';
import { t } from './i18n.js';

await styles('composer-tools');

const LONGEST = 5 * 60; // seconds
const BARS = 28;
const BEAT = 80; // ms between two level bars
// Opus if the browser supports it; Safari records AAC.
const TYPES = ['audio/webm;codecs=opus', 'audio/mp4', 'audio/ogg;codecs=opus'];

const type = () => TYPES.find((one) => MediaRecorder.isTypeSupported(one));

export class Recorder {
  #box = byId('recorder');
  #row = byId('composer-row');
  #time = byId('recorder-time');
  #level = byId('recorder-level');
  /** @type {HTMLElement[]} */
  #bars = [];
  #starting = false;
  /** @type {{stream: MediaStream, recorder: MediaRecorder, audio: AudioContext, began: number, parts: Blob[], beat: number, ending: boolean} | null} */
  #now = null;
  #on;

  /**
   * @param {object} on
   * @param {(blob: Blob, seconds: number) => void} on.done
   * @param {(text: string) => void} on.problem
   */
  constructor(on) {
    this.#on = on;
    this.#bars = Array.from({ length: BARS }, () => make('i'));
    this.#level.replaceChildren(...this.#bars);
    byId('recorder-cancel').addEventListener('click', () => this.#finish(false));
    byId('recorder-done').addEventListener('click', () => this.#finish(true));
    this.#box.addEventListener('keydown', (event) => {
      if (event.key !== 'Escape') return;
      event.preventDefault();
      event.stopPropagation();
      this.#finish(false);
    });
    window.addEventListener('pagehide', () => this.#finish(false));
  }

  async start() {
    if (this.#now || this.#starting) return;
    this.#on.problem('');
    this.#starting = true;
    let stream;
    try {
      stream = await navigator.mediaDevices.getUserMedia({ audio: { echoCancellation: true, noiseSuppression: true } });
    } catch (error) {
      this.#on.problem(t(/** @type {DOMException} */ (error).name === 'NotFoundError' ? 'talk.mic_missing' : 'talk.mic_denied'));
      return;
    } finally {
      this.#starting = false;
    }
    const recorder = new MediaRecorder(stream, { mimeType: type(), audioBitsPerSecond: 32_000 });
    /** @type {Blob[]} */
    const parts = [];
    const audio = new AudioContext();
    const began = performance.now();
    recorder.addEventListener('dataavailable', (event) => { if (event.data.size) parts.push(event.data); });
    recorder.addEventListener('error', () => this.#finish(false));
    stream.getAudioTracks()[0].addEventListener('ended', () => this.#finish(true)); // the microphone was disconnected
    recorder.start(1000);
    this.#now = { stream, recorder, audio, began, parts, beat: this.#listen(audio, stream, began), ending: false };
    this.#show(true);
    byId('recorder-done').focus({ preventScroll: true });
  }

  /**
   * Draws the sound level, the newest value at the right; returns the timer.
   * @param {AudioContext} audio @param {MediaStream} stream @param {number} began
   */
  #listen(audio, stream, began) {
    const ear = audio.createAnalyser();
    ear.fftSize = 1024;
    audio.createMediaStreamSource(stream).connect(ear);
    const samples = new Float32Array(ear.fftSize);
    const levels = new Array(BARS).fill(0);
    const draw = () => {
      ear.getFloatTimeDomainData(samples);
      const loud = Math.sqrt(samples.reduce((sum, x) => sum + x * x, 0) / samples.length);
      levels.shift();
      levels.push(Math.min(1, loud * 5));
      for (const [i, bar] of this.#bars.entries()) bar.style.transform = `scaleY(${0.08 + 0.92 * levels[i]})`;
      const seconds = (performance.now() - began) / 1000;
      this.#time.textContent = clockOf(seconds);
      if (seconds >= LONGEST) this.#finish(true);
    };
    draw();
    return setInterval(draw, BEAT);
  }

  /** @param {boolean} keep */
  #finish(keep) {
    const session = this.#now;
    if (!session || session.ending) return;
    session.ending = true;
    clearInterval(session.beat);
    const seconds = (performance.now() - session.began) / 1000;
    const end = () => {
      for (const track of session.stream.getTracks()) track.stop();
      session.audio.close();
      this.#now = null;
      this.#show(false);
      const blob = new Blob(session.parts, { type: session.recorder.mimeType.split(';')[0] });
      if (keep && blob.size && seconds >= 0.5) this.#on.done(blob, seconds);
      byId('text').focus({ preventScroll: true });
    };
    if (session.recorder.state === 'inactive') end();
    else {
      session.recorder.addEventListener('stop', end, { once: true });
      session.recorder.stop();
    }
  }

  /** @param {boolean} on */
  #show(on) {
    this.#box.hidden = !on;
    this.#row.hidden = on;
  }
}
