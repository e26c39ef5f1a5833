// Copies the Socket.IO client's browser files, in the version that the lockfile pins, to where go:embed includes them, and writes the
// licences of the packages in them to licenses.txt. `make build` runs `npm ci && npm run vendor`, and needs Node for nothing else.
import { copyFile, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const here = path.dirname(fileURLToPath(import.meta.url));
const require = createRequire(import.meta.url);
const client = path.dirname(require.resolve('socket.io-client/package.json'));
const from = path.join(client, 'dist');
const to = path.join(here, '..', 'static', 'vendor');
const files = ['socket.io.min.js', 'socket.io.js', 'socket.io.esm.min.js'];

await mkdir(to, { recursive: true });
for (const name of files) {
  await copyFile(path.join(from, name), path.join(to, name));
}
await writeFile(path.join(to, 'licenses.txt'), await licences());

/** Returns a section for each package of the lockfile that a source map of the files names: its name, version and licence. */
async function licences() {
  const lock = JSON.parse(await readFile(path.join(here, '..', 'package-lock.json'), 'utf8'));
  const sources = new Set(['socket.io-client']); // the client's own sources have paths relative to it
  for (const name of files) {
    for (const source of JSON.parse(await readFile(path.join(from, `${name}.map`), 'utf8')).sources) {
      if (!source.startsWith('../build/')) sources.add(source.replace(/^(\.\.\/)+(node_modules\/)?/, '').split('/')[0]);
    }
  }
  const sections = [];
  for (const [key, { version }] of Object.entries(lock.packages)) {
    const name = key.replace(/^node_modules\//, '');
    if (!sources.delete(name.replace('@', '').replace('/', '-'))) continue; // the maps name the repository's folders
    const folder = path.join(here, '..', key);
    const licence = (await readdir(folder)).find((file) => /^licen[cs]e/i.test(file));
    if (!licence) throw new Error(`${name} has no licence file`);
    sections.push(`${name} ${version}\n\n${(await readFile(path.join(folder, licence), 'utf8')).replaceAll('\r', '').trim()}\n`);
  }
  if (sources.size > 0) throw new Error(`not in the lockfile: ${[...sources]}`);
  return sections.join(`\n${'-'.repeat(80)}\n`);
}
