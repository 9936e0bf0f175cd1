// Runs both edge scripts under Node by the vectors that the node's own check is tested by: `node --test configs/edge`.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import vm from 'node:vm';
import crypto from 'node:crypto';

const here = (name) => readFileSync(new URL(name, import.meta.url), 'utf8');
const { now, keys, cases } = JSON.parse(here('vectors.json'));
const sources = { nginx: here('playback.js'), cloudfront: here('../cloudfront/playback.js') };
const DENIED = 'deadbeefdeadbeefdeadbeefdeadbeef';

/** The script's own functions, as its host would run it; `store` stands for CloudFront's KeyValueStore. */
function load(source, names, store) {
  const body = source
    .replace("import crypto from 'crypto';", '')
    .replace("import cf from 'cloudfront';", '')
    .replace(/^export default .*$/m, '');
  const context = vm.createContext({ crypto, Buffer, cf: { kvs: () => store }, Date: { now: () => now * 1000 } });
  return vm.runInContext(`${body}\n;({ ${names} })`, context);
}

const values = new Map(keys.map(({ id, secret }) => [`key:${id}`, secret]).concat([[`deny:${DENIED}`, '1']]));
const store = {
  async get(key) {
    if (!values.has(key)) throw new Error('KeyNotFound');
    return values.get(key);
  },
};
const rules = ['', ...keys.map(({ id, secret }) => `key ${id} ${secret}`), `deny ${DENIED} ${now + 600}`, ''].join('\n');
const nginx = load(sources.nginx, 'decide, readPath', store);
const cloudfront = load(sources.cloudfront, 'handler', store);

const CODES = { ok: 200, invalid: 403, expired: 403, other_channel: 403, put_out: 403, not_found: 404 };
const WORDS = { invalid: 'token_invalid', expired: 'token_expired', other_channel: 'token_other_channel', put_out: 'viewer_put_out', not_found: 'not_found' };

/** A token that a good key signed for a viewer. */
function tokenOf(viewer) {
  const part = (text) => Buffer.from(text).toString('base64url');
  const [{ id, secret }] = keys;
  const signed = `${part(`{"alg":"HS256","typ":"JWT","kid":"${id}"}`)}.${part(JSON.stringify({ ch: 'demo', vs: viewer, exp: now + 9 }))}`;
  return `${signed}.${crypto.createHmac('sha256', secret).update(signed).digest('base64url')}`;
}

async function check(uri, result, shared, name) {
  assert.equal(nginx.decide(rules, uri, now).result, result, `nginx: ${name}`);
  if (result === 'ok') assert.equal(nginx.decide(rules, uri, now).shared, shared, `nginx: ${name}`);
  const request = { uri, querystring: { _HLS_msn: { value: '7' } } };
  const answer = await cloudfront.handler({ request });
  if (result === 'ok') {
    assert.equal(answer.uri, shared, `cloudfront: ${name}`);
    assert.deepEqual(answer.querystring, { _HLS_msn: { value: '7' } });
    return;
  }
  assert.equal(answer.statusCode, CODES[result], `cloudfront: ${name}`);
  const problem = JSON.parse(answer.body.data);
  assert.deepEqual([problem.code, problem.status], [WORDS[result], CODES[result]], `cloudfront: ${name}`);
}

test('every vector has its result in both scripts', async () => {
  assert.ok(cases.length > 20);
  for (const { name, token, channel, result } of cases) {
    // What no path can hold is no path of ours.
    const inPath = /^[A-Za-z0-9_.-]+$/.test(token) ? result : 'not_found';
    await check(`/t/${token}/live/${channel}/index.m3u8`, inPath, `/private/live/${channel}/index.m3u8`, name);
  }
});

test('a viewer who is put out is refused, and no other', async () => {
  await check(`/t/${tokenOf(DENIED)}/live/demo/index.m3u8`, 'put_out');
  await check(`/t/${tokenOf(DENIED.slice(1))}/live/demo/index.m3u8`, 'ok', '/private/live/demo/index.m3u8');
  await check(`/t/${tokenOf(`${DENIED}f`)}/live/demo/b1/720p/seg-1-2.m4s`, 'ok', '/private/live/demo/b1/720p/seg-1-2.m4s');
});

test('only paths of live media of the token\'s channel lead anywhere', async () => {
  const good = tokenOf('v');
  for (const path of [
    '/private/live/demo/index.m3u8',
    '/live/demo/index.m3u8',
    `/t/${good}`,
    `/t/${good}/`,
    `/t/${good}/live`,
    `/t/${good}/live/demo`,
    `/t/${good}/live/demo/`,
    `/t/${good}/live/demo/../other/index.m3u8`,
    `/t/${good}/live/demo/./index.m3u8`,
    `/t/${good}/live/demo/%2e%2e/other/index.m3u8`,
    `/t/${good}/live/demo//index.m3u8`,
    `/t/${good}/live//demo/index.m3u8`,
    `/t/${good}/private/live/demo/index.m3u8`,
    `/t/${good}/api/v1/channels`,
    `/t//live/demo/index.m3u8`,
    `/T/${good}/live/demo/index.m3u8`,
    `/t/${good}/live/demo/index.m3u8\n`,
    `/t/${good}/live/demo/index.m3u8?x`,
  ]) {
    await check(path, 'not_found', undefined, path);
  }
  await check(`/t/${good}/live/other/index.m3u8`, 'other_channel');
});

test('both scripts share their check', () => {
  const shared = (source) => /\/\/ --- the same[^]*\/\/ --- end of what is the same ---/.exec(source)?.[0];
  assert.ok(shared(sources.nginx));
  assert.equal(shared(sources.nginx), shared(sources.cloudfront));
  // CloudFront takes functions of 10 KB at most.
  assert.ok(sources.cloudfront.length < 10_000);
});
