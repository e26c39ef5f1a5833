// Usage: node .ci/node_tests.mjs CONCURRENCY FILE...
// Runs test files as `node --test` does, but gives each a limit of time: a file that failed half-way may have left a browser or a
// server behind, which would keep its process, and with it everything, waiting for ever. Node 18 has no flag for that.
import { run } from 'node:test';
import * as reporters from 'node:test/reporters';

const LIMIT = 6 * 60_000; // ms for one file; the longest takes a quarter of that on two busy cores

const [concurrency, ...files] = process.argv.slice(2);
const { spec: Spec } = reporters;
let failed = false;
run({ files, concurrency: Number(concurrency), timeout: LIMIT })
  .on('test:fail', () => { failed = true; })
  .compose(new Spec())
  .on('end', () => process.stdout.write('', () => process.exit(failed ? 1 : 0))) // whoever may still hold a pipe of a file that was ended
  .pipe(process.stdout);
