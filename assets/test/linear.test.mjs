// Untrusted text must be processed in linear time: a regular expression with heavy backtracking would freeze every page that
// shows the text.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { analyse } from 'scslre';
import { expressions, overwritten } from './source-scan.mjs';

const found = expressions();

test('no expression of the pages is super-linear, as far as analysis can tell', () => {
  assert.ok(found.length > 20, `only ${found.length} found`);
  const bad = found.flatMap(({ file, source, flags }) => {
    if (source === undefined) return [`${file} makes one at run time`];
    if (/\(\?<[=!]/.test(source) || flags.includes('v')) return [`${file} /${source}/${flags}: not for Safari below 17`];
    // Sticky expressions are matched at only one position.
    const { reports } = analyse({ source, flags }, { reportTypes: { Move: !flags.includes('y') } });
    return reports.map(({ type, exponential }) => `${file} /${source}/${flags}: ${type}, ${exponential ? 'exponential' : 'polynomial'}`);
  });
  assert.deepEqual(bad, []);
});

test('no class defines a method twice', () => assert.deepEqual(overwritten(), []));

test('pages contain no inline scripts', () => {
  const pages = new URL('../pages/', import.meta.url);
  for (const name of readdirSync(pages)) {
    for (const [tag] of readFileSync(new URL(name, pages), 'utf8').matchAll(/<script[^>]*>/g)) assert.match(tag, /\ssrc=|type="application\/json"/, name);
  }
});

test('the longest hostile text costs at most about twice what half of it costs', () => {
  // In a separate process that can be killed, because exponential matching does not return.
  const { stdout, stderr, signal } = spawnSync(process.execPath, [fileURLToPath(new URL('linear.mjs', import.meta.url))], { timeout: 120_000, killSignal: 'SIGKILL', encoding: 'utf8' });
  const lines = stdout.trim().split('\n').filter(Boolean).map((line) => JSON.parse(line));
  assert.deepEqual(lines.filter((line) => line.slow), []);
  assert.ok(lines.at(-1)?.done > found.length, `ended by ${signal} in ${JSON.stringify(lines.at(-1))} ${stderr}`);
});
