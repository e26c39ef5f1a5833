// Copies the Socket.IO client's browser files, in the version that the lockfile pins, to where go:embed includes them. `make
// build` runs `npm ci && npm run vendor`, and needs Node for nothing else.
import { copyFile, mkdir } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const here = path.dirname(fileURLToPath(import.meta.url));
const require = createRequire(import.meta.url);
const from = path.join(path.dirname(require.resolve('socket.io-client/package.json')), 'dist');
const to = path.join(here, '..', 'static', 'vendor');

await mkdir(to, { recursive: true });
for (const name of ['socket.io.min.js', 'socket.io.js', 'socket.io.esm.min.js']) {
  await copyFile(path.join(from, name), path.join(to, name));
}
