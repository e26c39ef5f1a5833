// A short notification sound for a message while nobody is looking: two notes, like a spoon against a tea glass. Off until the
// user switches it on.
const NOTES = [{ hertz: 1174.7, at: 0 }, { hertz: 1568, at: 0.09 }];
const LASTS = 0.5;
const LOUD = 0.12;
const PATIENCE = 300; // ms
const TURN = 1_000; // ms in which all tabs together play one sound

/** @type {AudioContext | null} */
let context = null;

/** Whether this browser can play the sound. */
export const canRing = () => typeof AudioContext === 'function';

/** Whether this tab is the one to play it, of all tabs that received the same message. */
const ourTurn = () => new Promise((/** @type {(ours: boolean) => void} */ resolve) => {
  if (!navigator.locks) { // not available by plain HTTP
    resolve(true);
    return;
  }
  navigator.locks.request('sohbet.ring', { ifAvailable: true }, (lock) => {
    resolve(Boolean(lock));
    return lock && new Promise((over) => setTimeout(over, TURN));
  }).catch(() => resolve(true)); // locks are not available
});

/**
 * Plays the sound. Browsers play nothing in a page before the user's first interaction.
 * @param {{sample?: boolean}} [how] sample: the user asked to hear it, so no other tab plays it
 */
export async function ring({ sample = false } = {}) {
  if (!canRing()) return;
  context ??= new AudioContext();
  // Before the first interaction resume() stays pending; a sound long after its message would be confusing.
  await Promise.race([context.resume(), new Promise((later) => setTimeout(later, PATIENCE))]);
  if (context.state !== 'running' || !(sample || await ourTurn())) return;
  const now = context.currentTime;
  for (const { hertz, at } of NOTES) {
    const tone = new OscillatorNode(context, { type: 'sine', frequency: hertz });
    const level = new GainNode(context, { gain: 0 });
    level.gain.setValueAtTime(0, now + at);
    level.gain.linearRampToValueAtTime(LOUD, now + at + 0.008);
    level.gain.exponentialRampToValueAtTime(0.0005, now + at + LASTS);
    tone.connect(level).connect(context.destination);
    tone.start(now + at);
    tone.stop(now + at + LASTS);
  }
}
