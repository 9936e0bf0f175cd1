// Publishes Firefox's fake camera and microphone by the page `browser.html`.
//
//     STREAM_KEY=... node firefox.mjs FIREFOX PAGE URL CODEC
//
// Prints a JSON line for each event: `connected`, `ended`. SIGINT and SIGTERM say goodbye.
import { createServer } from 'node:http';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import puppeteer from 'puppeteer-core';

const [firefox, file, url, codec] = process.argv.slice(2);
const key = process.env.STREAM_KEY;
const START_MS = 60_000;
const say = (event, more = {}) => process.stdout.write(`${JSON.stringify({ event, ...more })}\n`);
const over = new Promise((resolve) => {
  for (const name of ['SIGINT', 'SIGTERM']) process.on(name, resolve);
});

// A page gives its camera to localhost only.
const server = createServer((_, answer) => answer.setHeader('Content-Type', 'text/html').end(readFileSync(file)));
server.listen(0, 'localhost');
await once(server, 'listening');

const browser = await puppeteer.launch({
  browser: 'firefox',
  executablePath: firefox,
  handleSIGINT: false,
  handleSIGTERM: false,
  extraPrefsFirefox: {
    'media.navigator.streams.fake': true,
    'media.navigator.permission.disabled': true,
  },
});
try {
  const page = await browser.newPage();
  page.on('console', (message) => console.error(message.text()));
  await page.goto(`http://localhost:${server.address().port}/`);
  await page.evaluate((...given) => publish(...given), url, key, { codec });
  await page.waitForFunction("publisher.state === 'connected'", { timeout: START_MS });
  say('connected');
  await over;
  const sent = await page.evaluate(() => sending());
  say('ended', { ...sent, state: await page.evaluate('publisher.state'), status: await page.evaluate((k) => stop(k), key) });
} finally {
  await browser.close();
  server.close();
}
