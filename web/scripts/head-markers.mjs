// Puts the title, Open Graph and start markers into the head of the exported watch page.
//
// They are not Next metadata, because Next repeats metadata inside inline scripts: a server that filled
// them in there would change the scripts and so break their CSP hashes.
import { readFile, writeFile } from 'node:fs/promises';

const page = new URL('../out/watch/_.html', import.meta.url);

const head = [
  '<title>__HW_TITLE__</title>',
  '<meta name="description" content="__HW_TITLE__"/>',
  '<meta property="og:type" content="video.other"/>',
  '<meta property="og:site_name" content="Headwater"/>',
  '<meta property="og:title" content="__HW_TITLE__"/>',
  '<meta property="og:url" content="__HW_BASE__/watch/__HW_CHANNEL__"/>',
  '<meta name="twitter:card" content="__HW_CARD__"/>',
  '<!--__HW_IMAGE__-->',
  '<!--__HW_START__-->',
].join('');

const html = await readFile(page, 'utf8');
if (html.includes('__HW_')) throw new Error('the watch page has markers already');
if (/<title>/.test(html)) throw new Error('the watch page has a title of its own');
if (html.split('</head>').length !== 2) throw new Error('the watch page has no single </head>');
await writeFile(page, html.replace('</head>', `${head}</head>`));
