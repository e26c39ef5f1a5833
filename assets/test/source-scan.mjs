// Finds the regular expressions in our scripts, and classes with duplicate methods.
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'acorn';

const assets = path.join(path.dirname(fileURLToPath(import.meta.url)), '..');

function scriptsIn(folder) {
  return readdirSync(path.join(assets, folder), { withFileTypes: true }).flatMap((entry) => {
    const name = `${folder}/${entry.name}`;
    return entry.isDirectory() ? scriptsIn(name) : name.endsWith('.js') ? [name] : [];
  });
}

/** The scripts of pages, widget and service worker, as paths relative to assets/. */
export const scripts = () => [...scriptsIn('static/js'), ...scriptsIn('root')];

export const source = (file) => readFileSync(path.join(assets, file), 'utf8');

/** Calls visit with every node of a syntax tree (https://github.com/estree/estree) and the path of nodes down to it, itself last. */
export function walk(node, visit, around = []) {
  const here = typeof node?.type === 'string' ? [...around, node] : around;
  if (here !== around) visit(node, here);
  for (const value of Object.values(node ?? {})) if (value && typeof value === 'object' && !(value instanceof RegExp)) walk(value, visit, here);
}

/** The results of find(node, file) for all nodes of our scripts. */
const inScripts = (find) => scripts().flatMap((file) => {
  const found = [];
  walk(parse(source(file), { ecmaVersion: 2024, sourceType: 'module' }), (node) => found.push(...find(node, file)));
  return found;
});

/** All regular expressions in our scripts, as {file, source, flags}; those made at run time have no source. */
export const expressions = () => inScripts((node, file) => {
  if (node.regex) return [{ file, source: node.regex.pattern, flags: node.regex.flags }];
  return node.type === 'Identifier' && node.name === 'RegExp' ? [{ file }] : [];
});

/** Methods that are defined twice in a class, where the second one silently replaces the first. */
export const overwritten = () => inScripts((node, file) => {
  if (node.type !== 'ClassBody') return [];
  const names = node.body.filter(({ computed, key }) => key && !computed).map(({ kind, key, static: ofClass }) => `${ofClass ? 'static ' : ''}${kind === 'get' || kind === 'set' ? `${kind} ` : ''}${key.type === 'PrivateIdentifier' ? '#' : ''}${key.name ?? key.value}`);
  return names.filter((name, i) => names.indexOf(name) !== i).map((name) => `${file}: ${name}`);
});
