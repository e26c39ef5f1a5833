// Usage: node .ci/node_tests.mjs CONCURRENCY FILE...
// Runs test files like `node --test`, with a time limit for each file, for which Node 18 has no flag: Playwright waits for ever for a page
// that no longer responds. A file that exceeded the limit without a failed test is run once more, alone. Failed tests are not repeated.
import { run } from 'node:test';
import { spec as Spec } from 'node:test/reporters';

const LIMIT = 5 * 60_000; // ms for one file; the slowest file takes less than half of it on two busy cores

/** Runs the files and returns which of them exceeded the limit, and whether any test failed. */
function pass(files, concurrency) {
  const hung = [];
  let failed = false;
  const told = run({ files, concurrency, timeout: LIMIT })
    .on('test:fail', ({ name, details }) => {
      if (details.error.failureType === 'testTimeoutFailure' && files.includes(name)) hung.push(name);
      else failed = true;
    })
    .compose(new Spec());
  told.pipe(process.stdout, { end: false });
  return new Promise((resolve) => told.on('end', () => resolve({ hung, failed })));
}

const [concurrency, ...files] = process.argv.slice(2);
let { hung, failed } = await pass(files, Number(concurrency));
if (hung.length > 0 && !failed) {
  console.log(`\n!! not finished within ${LIMIT / 1000} s, running once more: ${hung.join(', ')}\n`);
  ({ hung, failed } = await pass(hung, 1));
}
// Exits explicitly, because children of killed tests may still hold the pipes open.
process.stdout.write('', () => process.exit(failed || hung.length > 0 ? 1 : 0));
