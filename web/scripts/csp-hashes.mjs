// Writes out/csp-hashes.json: for each exported page the CSP sources of its inline scripts, such as
// {"/watch/_.html": ["sha256-..."]}. The server puts them, quoted, into script-src.
import { createHash } from 'node:crypto';
import { readdir, readFile, writeFile } from 'node:fs/promises';

const out = new URL('../out/', import.meta.url);
const INLINE_SCRIPT = /<script(?![^>]*\ssrc=)[^>]*>([\s\S]*?)<\/script>/gi;
const INLINE_STYLE = /<style[\s>]|\sstyle=|\son[a-z]+=/i;

const names = await readdir(out, { recursive: true });
const hashes = {};
for (const name of names.filter((entry) => entry.endsWith('.html')).sort()) {
  const html = await readFile(new URL(name, out), 'utf8');
  hashes[`/${name}`] = sourcesOf(name, html);
}
await writeFile(new URL('csp-hashes.json', out), `${JSON.stringify(hashes, null, 2)}\n`);

function sourcesOf(name, html) {
  const scripts = [...html.matchAll(INLINE_SCRIPT)].map((match) => match[1]);
  const markup = html.replace(INLINE_SCRIPT, '');
  if (INLINE_STYLE.test(markup)) throw new Error(`${name} has an inline style or handler, which the CSP forbids`);
  if (scripts.some((script) => script.includes('__HW_'))) throw new Error(`${name} has a marker inside a script`);
  return [...new Set(scripts.map((script) => `sha256-${createHash('sha256').update(script).digest('base64')}`))];
}
