// Private playback at an nginx edge (njs): checks a viewer's token, and asks for the one copy that all viewers share.
//
// /t/{token}/live/… is rewritten to /private/live/…, which `nginx-edge.conf` fetches with the edge's secret. Keys and the
// viewers who are put out come from the node, in a text that nginx itself caches for some seconds and keeps while the
// node is away.

import crypto from 'crypto';

// --- the same in edge/playback.js and cloudfront/playback.js; a test compares them ---
const TOKEN_BYTES_MAX = 512;
const TOKEN = /^([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)$/;
const PRIVATE_PATH = /^\/t\/([A-Za-z0-9_.-]+)(\/live\/([a-z0-9-]+)\/[A-Za-z0-9_.\/-]+)$/;
const KEY_ID = /^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$/;

// The parts of a private path, or null where it is none.
function readPath(path) {
  const found = PRIVATE_PATH.exec(path);
  if (found === null || found[2].indexOf('//') >= 0 || found[2].indexOf('/.') >= 0) return null;
  return { token: found[1], channel: found[3], shared: '/private' + found[2] };
}

function encodedHeader(keyId) {
  const header = '{"alg":"HS256","typ":"JWT","kid":"' + keyId + '"}';
  return Buffer.from(header).toString('base64url');
}

// The name of the key that a token claims, or null. Nothing else in the header counts: it must be the one we write.
function keyIdOf(token) {
  const parts = token.length > TOKEN_BYTES_MAX ? null : TOKEN.exec(token);
  if (parts === null) return null;
  let keyId;
  try {
    keyId = JSON.parse(Buffer.from(parts[1], 'base64url').toString()).kid;
  } catch (e) {
    return null;
  }
  if (typeof keyId !== 'string' || !KEY_ID.test(keyId)) return null;
  return encodedHeader(keyId) === parts[1] ? keyId : null;
}

// Takes the same time wherever two texts of one length differ.
function sameText(a, b) {
  if (a.length !== b.length) return false;
  let differences = 0;
  for (let at = 0; at < a.length; at++) differences |= a.charCodeAt(at) ^ b.charCodeAt(at);
  return differences === 0;
}

// { result: 'ok', viewer } or { result: why not }: by the secret of the key that `keyIdOf` told, at `now` in seconds.
function checkToken(token, secret, channel, now) {
  const parts = TOKEN.exec(token);
  if (parts === null || !secret) return { result: 'invalid' };
  const signature = crypto.createHmac('sha256', secret).update(parts[1] + '.' + parts[2]).digest('base64url');
  if (!sameText(signature, parts[3])) return { result: 'invalid' };
  let claims;
  try {
    claims = JSON.parse(Buffer.from(parts[2], 'base64url').toString());
  } catch (e) {
    return { result: 'invalid' };
  }
  if (claims === null || typeof claims !== 'object') return { result: 'invalid' };
  const whole = typeof claims.exp === 'number' && claims.exp >= 0 && Math.floor(claims.exp) === claims.exp;
  if (!whole || typeof claims.ch !== 'string' || typeof claims.vs !== 'string') return { result: 'invalid' };
  if (claims.exp <= now) return { result: 'expired' };
  if (claims.ch !== channel) return { result: 'other_channel' };
  return { result: 'ok', viewer: claims.vs };
}

// What a refused viewer is told, as problem+json (RFC 9457).
const REFUSALS = {
  not_found: [404, 'not_found', 'there is nothing at this path'],
  invalid: [403, 'token_invalid', 'the playback token is not valid'],
  expired: [403, 'token_expired', 'the playback token has expired; get a new one'],
  other_channel: [403, 'token_other_channel', 'the playback token is for another channel'],
  put_out: [403, 'viewer_put_out', 'this viewer session was put out'],
  unavailable: [503, 'edge_unavailable', 'the edge has no keys now; try again shortly'],
};

function problemOf(result) {
  const refusal = REFUSALS[result];
  return JSON.stringify({ status: refusal[0], code: refusal[1], title: refusal[2] });
}
// --- end of what is the same ---

// The rest of the line that begins with `start`, or null. Searched as text: a long list costs no parsing.
function lineOf(rules, start) {
  const at = rules.indexOf('\n' + start);
  if (at < 0) return null;
  const from = at + 1 + start.length;
  return rules.slice(from, rules.indexOf('\n', from));
}

// What becomes of a path under the node's rules: { result, shared }.
function decide(rules, path, now) {
  const asked = readPath(path);
  if (asked === null) return { result: 'not_found' };
  const keyId = keyIdOf(asked.token);
  if (keyId === null) return { result: 'invalid' };
  const checked = checkToken(asked.token, lineOf(rules, 'key ' + keyId + ' '), asked.channel, now);
  if (checked.result !== 'ok') return checked;
  if (lineOf(rules, 'deny ' + checked.viewer + ' ') !== null) return { result: 'put_out' };
  return { result: 'ok', shared: asked.shared };
}

function refuse(r, result) {
  r.headersOut['Content-Type'] = 'application/problem+json';
  r.headersOut['Cache-Control'] = 'max-age=1';
  r.headersOut['Access-Control-Allow-Origin'] = '*';
  r.return(REFUSALS[result][0], problemOf(result));
}

// js_content of /t/.
async function play(r) {
  if (r.method === 'OPTIONS') {
    r.internalRedirect('/private/live/preflight');
    return;
  }
  const rules = await r.subrequest('/headwater-rules', { method: 'GET' });
  if (rules.status !== 200) {
    refuse(r, 'unavailable');
    return;
  }
  const decided = decide(rules.responseText, r.uri, Math.floor(Date.now() / 1000));
  if (decided.result !== 'ok') {
    refuse(r, decided.result);
    return;
  }
  const args = r.variables.args;
  r.internalRedirect(decided.shared + (args ? '?' + args : ''));
}

export default { play, decide, readPath, keyIdOf, checkToken };
