// Checks pages with axe, by all rules of WCAG 2.2 A and AA and its best practices.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const runOnly = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];

/** Fields that make an iPhone zoom in on focus: those with a font smaller than 16 px. */
const zooming = () => (matchMedia('(pointer: coarse)').matches
  ? [...document.querySelectorAll('textarea, select, input:not([type=checkbox], [type=radio], [type=file], [type=range])')]
    .filter((field) => parseFloat(getComputedStyle(field).fontSize) < 16).map((field) => `#${field.id} .${field.className}`)
  : []);

/** Fails if the page breaks any rule in the light or dark theme. */
export async function cleanInBoth(page, what) {
  assert.deepEqual(await page.evaluate(zooming), [], `${what}: letters of fields`);
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme });
    await clean(page, `${what}, ${colorScheme}`);
  }
}

/** Fails if the page breaks any rule. */
export async function clean(page, what) {
  // Contrast is measured after all fading animations have finished.
  await page.evaluate(() => { for (const a of document.getAnimations()) if (a.effect.getTiming().iterations !== Infinity) a.finish(); });
  if (!await page.evaluate(() => Boolean(window.axe))) await page.evaluate(axe);
  const { violations } = await page.evaluate((only) => window.axe.run(document, { runOnly: only, resultTypes: ['violations'] }), runOnly);
  const found = violations.map((v) => `${v.id}: ${v.nodes.map((n) => `${n.target} ${n.failureSummary}`).join(' | ')}`);
  assert.deepEqual(found, [], what);
}
