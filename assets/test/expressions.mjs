// Finds the regular expressions of pages and service worker.
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'acorn';

const assets = path.join(path.dirname(fileURLToPath(import.meta.url)), '..');

function scripts(folder) {
  return readdirSync(path.join(assets, folder), { withFileTypes: true }).flatMap((entry) => {
    const name = `${folder}/${entry.name}`;
    return entry.isDirectory() ? scripts(name) : name.endsWith('.js') ? [name] : [];
  });
}

/** Calls visit with every node of a syntax tree (https://github.com/estree/estree). */
function walk(node, visit) {
  if (typeof node?.type === 'string') visit(node);
  for (const value of Object.values(node ?? {})) if (value && typeof value === 'object' && !(value instanceof RegExp)) walk(value, visit);
}

/** All of our scripts' expressions, as {file, source, flags}; those that are made at run time have no source. */
export function expressions() {
  return [...scripts('static/js'), ...scripts('root')].flatMap((file) => {
    const found = [];
    walk(parse(readFileSync(path.join(assets, file), 'utf8'), { ecmaVersion: 2024, sourceType: 'module' }), (node) => {
      if (node.regex) found.push({ file, source: node.regex.pattern, flags: node.regex.flags });
      else if (node.type === 'Identifier' && node.name === 'RegExp') found.push({ file });
    });
    return found;
  });
}
