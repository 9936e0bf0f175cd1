// Builds the watch page's first scripts, src/player/early.ts and rest.ts, and puts them into the exported page in place of
// all others, which rest.ts loads. Their names hold a hash, as of all that is immutable.
import { createHash } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';

import { build } from 'esbuild';

const folder = '/_next/static/early/';

// hls.js from its own source, by its own switches: of what it can do we need low latency and separate sound, which its
// light build leaves out. A third of its full build is never asked for.
const HLS_LEFT_OUT = [
  'CMCD',
  'CONTENT_STEERING',
  'EME_DRM',
  'IFRAMES',
  'INTERSTITIALS',
  'M2TS_ADVANCED_CODECS',
  'MEDIA_CAPABILITIES',
  'SUBTITLES',
  'VARIABLE_SUBSTITUTION',
];
const { version } = JSON.parse(await readFile('node_modules/hls.js/package.json', 'utf8'));
const hlsSwitches = {
  __VERSION__: JSON.stringify(version),
  __IN_WORKER__: 'false',
  __HLS_WORKER_BUNDLE__: 'undefined',
  __USE_ALT_AUDIO__: 'true',
  ...Object.fromEntries(HLS_LEFT_OUT.map((name) => [`__USE_${name}__`, 'false'])),
};

async function script(entry) {
  const { outputFiles } = await build({
    entryPoints: [entry],
    bundle: true,
    minify: true,
    format: 'iife',
    target: ['chrome111', 'edge111', 'firefox111', 'safari16.4'],
    alias: { 'hls.js': './node_modules/hls.js/src/exports-named.ts' },
    define: hlsSwitches,
    write: false,
  });
  const [{ contents }] = outputFiles;
  const source = `${folder}${createHash('sha256').update(contents).digest('hex').slice(0, 16)}.js`;
  await writeFile(new URL(`../out${source}`, import.meta.url), contents);
  return source;
}

await mkdir(new URL(`../out${folder}`, import.meta.url), { recursive: true });
const early = await script('src/player/early.ts');
const rest = await script('src/player/rest.ts');

const page = new URL('../out/watch/_.html', import.meta.url);
const html = await readFile(page, 'utf8');
const SCRIPT = /<script src="([^"]+)" async=""><\/script>/g;
const scripts = [...new Set([...html.matchAll(SCRIPT)].map((match) => match[1]))];
if (scripts.length < 2) throw new Error('the watch page has no scripts');
const first = [
  `<script src="${early}" defer="" fetchPriority="high"></script>`,
  `<script src="${rest}" defer="" data-scripts="${scripts.join(' ')}"></script>`,
  ...scripts.map((source) => `<link rel="preload" as="script" fetchPriority="low" href="${source}"/>`),
].join('');
await writeFile(page, html.replaceAll(SCRIPT, '').replace('<link rel="stylesheet"', `${first}<link rel="stylesheet"`));
