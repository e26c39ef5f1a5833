// A short sound for a message that nobody was looking at: two notes, like a spoon against a tea glass. Off until somebody switches it on.
const NOTES = [{ hertz: 1174.7, at: 0 }, { hertz: 1568, at: 0.09 }];
const LASTS = 0.5;
const LOUD = 0.12;
const PATIENCE = 300;
const TURN = 1_000; // within it one sound is enough, whichever tab makes it

let context = null;

/** Whether this browser can play it. */
export const canRing = () => typeof AudioContext === 'function';

/** Whether it is this tab's turn, of all that were told of the same message. */
const ourTurn = () => new Promise((resolve) => {
  if (!navigator.locks) { // by plain http
    resolve(true);
    return;
  }
  navigator.locks.request('sohbet.ring', { ifAvailable: true }, (lock) => {
    resolve(Boolean(lock));
    return lock && new Promise((over) => setTimeout(over, TURN));
  }).catch(() => resolve(true)); // nothing is shared here
});

/**
 * Plays it. In a page that nobody has touched yet a browser plays nothing.
 * @param {{sample?: boolean}} [how] sample: asked for by hand, which no other tab plays too
 */
export async function ring({ sample = false } = {}) {
  if (!canRing()) return;
  context ??= new AudioContext();
  // Until somebody touches the page this waits; what rings long after its message would only confuse.
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
