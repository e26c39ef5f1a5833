// Pages, widget and service worker use only what the oldest browsers in "browserslist" of package.json support. esbuild converts
// newer syntax for them, but neither regular expressions nor methods.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parse } from 'acorn';
import { scripts, source, walk } from './source-scan.mjs';

// The tables below are for these versions.
const OLDEST = ['chrome >= 100', 'edge >= 100', 'firefox >= 100', 'safari >= 15.4', 'ios_saf >= 15.4'];
/** Methods that at least one of these browsers lacks (https://caniuse.com). */
const METHODS = new Set(`checkVisibility requestSubmit toSorted toReversed toSpliced groupBy withResolvers fromAsync showPopover hidePopover togglePopover moveBefore
  isWellFormed toWellFormed canParse setHTMLUnsafe showPicker requestClose startViewTransition transferToImageBitmap setAppBadge clearAppBadge`.split(/\s+/));
const CONSTRUCTORS = new Set(['CSSStyleSheet', 'OffscreenCanvas', 'Highlight', 'CompressionStream', 'DecompressionStream', 'URLPattern', 'NavigationPreloadManager']);
const STATICS = new Set(['AbortSignal.timeout', 'AbortSignal.any', 'Object.groupBy', 'Promise.withResolvers', 'Promise.try', 'Array.fromAsync', 'URL.canParse', 'RegExp.escape']);

/** Whether a node runs only if `name` is supported: in a try block, or behind a condition that mentions it. */
function guarded(path, name) {
  return path.some((node, i) => {
    const inside = path[i + 1];
    if (node.type === 'TryStatement') return inside === node.block;
    const asked = { IfStatement: node.test, ConditionalExpression: node.test, LogicalExpression: node.left }[node.type];
    let named = false;
    if (asked && asked !== inside) walk(asked, (one) => { named ||= one.name === name || one.value === name; });
    return named;
  });
}

/** Lists the uses of unsupported features in a file. */
function tooNew(file, code = source(file)) {
  const found = [];
  const say = (node, what) => found.push(`${file}:${code.slice(0, node.start).split('\n').length} ${what}`);
  walk(parse(code, { ecmaVersion: 2022, sourceType: 'module' }), (node, path) => {
    if (node.type === 'StaticBlock') say(node, 'static block');
    if (node.regex && /\(\?<[=!]/.test(node.regex.pattern)) say(node, `look-behind in /${node.regex.pattern}/`);
    const { callee } = node;
    if (node.type === 'NewExpression' && CONSTRUCTORS.has(callee.name) && !guarded(path, callee.name)) say(node, `new ${callee.name}()`);
    if (node.type !== 'CallExpression' || callee.type !== 'MemberExpression' || node.optional) return;
    const name = callee.property.name;
    const whole = `${callee.object.name}.${name}`;
    if ((STATICS.has(whole) || (METHODS.has(name) && callee.object.name !== 'CSS')) && !guarded(path, name)) say(node, `${whole}()`);
  });
  return found;
}

test('the check finds unsupported features', () => {
  for (const code of ['class A { static { f(); } }', 'const a = /(?<!b)c/;', 'new CSSStyleSheet();', 'node.checkVisibility();', 'AbortSignal.timeout(1);', 'form.requestSubmit();']) {
    assert.equal(tooNew('example', code).length, 1, code);
  }
  for (const code of ['const a = /[a--b]/v;', 'const a = /(?i:b)/;', 'import a from "b" with { type: "json" };', 'using a = b;']) assert.throws(() => tooNew('example', code), SyntaxError, code);
  for (const code of ['try { new CSSStyleSheet(); } catch { f(); }', 'node.showPopover?.();', 'if (a.moveBefore) a.moveBefore(b, null);']) assert.deepEqual(tooNew('example', code), [], code);
});

test('scripts use only features of the oldest supported browsers', () => {
  const { browserslist } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
  assert.deepEqual(browserslist, OLDEST, 'the tables of this test belong to other versions');
  const files = scripts();
  assert.ok(files.length > 50, `only ${files.length} scripts`);
  assert.deepEqual(files.flatMap((file) => tooNew(file)), []);
});

test('styles use only features of the oldest supported browsers, or have a fallback', () => {
  const folder = new URL('../static/css/', import.meta.url);
  const bad = [];
  for (const name of readdirSync(folder)) {
    // @supports is a guard; light-dark() is rewritten in bundles (assets/css_light_dark.go).
    const css = readFileSync(new URL(name, folder), 'utf8').replace(/@supports[^{]*\{(?:[^{}]|\{[^{}]*\})*\}/g, '').replace(/\/\*.*?\*\//gs, '');
    for (const [what, found] of [['color-mix()', /color-mix\(/], ['a new rule', /@(?:scope|starting-style|property|view-transition)\b/], ['a new colour', /\b(?:oklch|oklab|lch|lab|color)\(/], ['nesting', /&/]]) {
      if (found.test(css)) bad.push(`${name}: ${what}`);
    }
    for (const [rule] of css.matchAll(/[^{};]*:[^{};]*\d[dsl]v[hw][^{};]*/g)) {
      const property = rule.split(':')[0].trim();
      if (!new RegExp(`[{;]\\s*${property}:[^;]*vh[^;]*;\\s*${property}:[^;]*dvh`).test(css) || rule.includes('var(')) bad.push(`${name}: ${rule.trim()} alone`);
    }
  }
  assert.deepEqual(bad, []);
  const look = readFileSync(fileURLToPath(new URL('../static/js/loader/styles.js', import.meta.url)), 'utf8');
  assert.doesNotMatch(look.replace(/@supports\([^)]*\)\{[^}]*\}\}/g, ''), /\d[dsl]v[hw]|color-mix|light-dark|:has\(/);
});
