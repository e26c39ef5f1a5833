// Usage: node .ci/node_tests.mjs CONCURRENCY FILE...
// Runs test files as `node --test` does, but gives each a limit of time, for which Node 18 has no flag: the browser's driver waits
// without an end for a page that answers nothing more. A file that met the limit without a test having failed is run once more,
// by itself; whatever fails, fails.
import { run } from 'node:test';
import { spec as Spec } from 'node:test/reporters';

const LIMIT = 5 * 60_000; // ms for one file; the longest takes less than half of that where two cores do the work of four

/** Runs the files, and returns which of them met the limit, and whether any test failed. */
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
  console.log(`\n!! not done within ${LIMIT / 1000} s, and run once more: ${hung.join(', ')}\n`);
  ({ hung, failed } = await pass(hung, 1));
}
// Not by itself: what was ended may have left somebody who holds its pipes.
process.stdout.write('', () => process.exit(failed || hung.length > 0 ? 1 : 0));
