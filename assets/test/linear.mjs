// Usage: node linear.mjs
// Measures the functions that process untrusted text, and every regular expression of our scripts, with hostile texts of maximum length and
// of half of it. Prints a JSON line when it begins each, and one for each that takes more than linear time.
import { writeSync } from 'node:fs';
import { expressions } from './source-scan.mjs';

globalThis.location = new URL('https://sohbet.example/');
globalThis.document = {
  documentElement: { lang: 'tr' }, getElementById: () => null, querySelector: () => null,
  createElement: () => ({ dataset: {}, setAttribute() {}, append() {} }),
};
const { emojiOnly, linked, LONGEST, runes, safeURL } = await import('../static/js/lib/message-text.js');
const { initials } = await import('../static/js/lib/face.js');
const { hiddenOn } = await import('../static/js/loader/navigation.js');
const { filled } = await import('../static/js/console/canned-replies.js');

const ENOUGH = 10; // ms; if the longest text takes less, the ratio does not matter
const MOST = 3.2; // maximum ratio: linear is 2, quadratic 4

const UNITS = [
  'w', 'a ', 'a.', 'a@', 'a-', 'a.b@', '.-', '--', 'W.co', 'x.co ', 'x.co,', 'www.', 'https://a', 'https://x.co ', 'http:', 'mailto:', 'mailto:a@b.co ', '+9', '0 ', '+90 (', '05321234567a',
  '(', ')', '()', '!', '…', '"', "'", '/', '*', '/*', ' ', '\n', ' \n', '\t,', '{', '{a', '}', '{name}', '$`', ';', '; theme=', 'filename=', "filename*=UTF-8''", '%2F', '#', '1', '\uFE0F', '1\uFE0F\u20E3',
  '👍', '👍 ', '👍🏽', '👨\u200D', '\u200D', '❤\uFE0F', '🇹', '🇹🇷', '🏴\u{E0067}', 'é', 'e\u0301', '\u0301\u0316', 'İ', 'ß',
];
const FRAMES = [['', ''], ['', 'x'], ['a', '\0'], ['.', ' '], ['https://a', ' '], ['https://a', 'x)'], ['/', '\n']];

/** A text of n code units made by repeating a unit, between a prefix and a suffix. */
const repeated = (unit, [head, tail], n) => head + unit.repeat(Math.ceil(n / unit.length)).slice(0, n) + tail;
const SHAPES = [
  ...UNITS.flatMap((unit) => FRAMES.map((frame) => ({ what: [frame[0], unit, frame[1]], make: (n) => repeated(unit, frame, n) }))),
  { what: 'https://a + ! + x + )', make: (n) => `https://a${'!'.repeat(n / 2)}x${')'.repeat(n / 2)}` },
  { what: 'https:// + as many different letters', make: (n) => `https://${String.fromCodePoint(...Array.from({ length: n }, (_, i) => 0x4e00 + i))}` },
  { what: 'spaces between letters', make: (n) => `${' '.repeat(n / 2)}x${' '.repeat(n / 2)}x` },
];

const JOBS = [
  ['linked', linked], ['emojiOnly', emojiOnly], ['emojiOnly, as long as it looks at', (text) => emojiOnly([...text.slice(0, 88), text.at(-1)].join(''))],
  ['runes', runes], ['initials', initials],
  // Callers of safeURL limit host names, or pass at most 2,048 characters.
  ['safeURL', (text) => safeURL(`https://a/${text}`)],
  ['hiddenOn, the path', (text) => hiddenOn('/a*a*a*a*a*b /*w*w*w*x', `/${text}`)],
  ['hiddenOn, the pattern', (text) => hiddenOn(text, '/a/aa/aaa')],
  ['filled', (text) => filled(text, { name: '$`'.repeat(50) })],
  ...expressions().filter(({ source }) => source).map(({ file, source, flags }) => {
    const expression = new RegExp(source, flags.replace('g', '').concat(flags.includes('y') ? '' : 'g'));
    return [`${file} /${source}/${flags}`, (text) => { expression.lastIndex = 0; return text.replace(expression, ''); }];
  }),
];

function cost(job, text) {
  const start = process.cpuUsage(); // CPU time, which is independent of other processes
  job(text);
  const { user, system } = process.cpuUsage(start);
  return (user + system) / 1_000;
}

const say = (line) => writeSync(1, `${JSON.stringify(line)}\n`);

for (const [name, job] of JOBS) {
  say({ begun: name });
  for (const { what, make } of SHAPES) {
    const long = make(LONGEST);
    let most = cost(job, long);
    if (most < ENOUGH) continue;
    let half = Infinity;
    for (let i = 0; i < 15 && most >= ENOUGH; i++) { // the minimum of several runs is disturbed least
      half = Math.min(half, cost(job, make(LONGEST / 2)));
      most = Math.min(most, cost(job, long));
    }
    if (most >= ENOUGH && most / half > MOST) say({ slow: name, what, ratio: most / half });
  }
}
say({ done: JOBS.length });
