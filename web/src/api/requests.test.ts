import { afterEach, describe, expect, it, vi } from 'vitest';

import { fetchAccount, signIn } from './account';
import { isTakenOver, parseChannelDetails } from './channels';
import { ask, HttpError, sendJson } from './http';
import { makePublishToken, parseKeys, parseNewKey } from './keys';

const never = new AbortController().signal;

interface Said {
  readonly status?: number;
  readonly body?: unknown;
  readonly headers?: Record<string, string>;
}

/** A server that gives these answers, one after the other; returns what it was asked. */
function server(...answers: Said[]): { url: string; init: RequestInit | undefined }[] {
  const asked: { url: string; init: RequestInit | undefined }[] = [];
  vi.stubGlobal('fetch', (url: string, init?: RequestInit) => {
    asked.push({ url, init });
    const { status = 200, body, headers = {} } = answers.shift() ?? {};
    return Promise.resolve(new Response(body === undefined ? null : JSON.stringify(body), { status, headers }));
  });
  return asked;
}

afterEach(() => {
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

describe('a request', () => {
  it('tells what a problem body says, and how long to wait', async () => {
    server({ status: 429, body: { code: 'tries_too_many', title: 'wait a little' }, headers: { 'retry-after': '12' } });
    const failed = await sendJson('POST', '/x', {}, never).catch((error: unknown) => error);
    expect(failed).toMatchObject({ status: 429, code: 'tries_too_many', title: 'wait a little', retryAfterS: 12 });
  });

  it('takes a refusal without a problem body, and a wait that is none', async () => {
    server({ status: 503, headers: { 'retry-after': 'Sun, 22 Nov 2026 12:00:00 GMT' } });
    expect(await sendJson('DELETE', '/x', undefined, never).catch((error: unknown) => error)).toEqual(new HttpError(503));
  });

  it('ends after its time, and when it is given up', async () => {
    vi.useFakeTimers();
    vi.stubGlobal('fetch', (_: string, { signal }: RequestInit) => new Promise((_resolve, reject) => {
      signal?.addEventListener('abort', () => { reject(new DOMException('aborted', 'AbortError')); });
    }));
    const late = ask('/x', { timeoutMs: 1_000 }, never, () => Promise.resolve(1)).catch((error: unknown) => error);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(await late).toMatchObject({ name: 'AbortError' });
    await expect(ask('/x', {}, AbortSignal.abort(), () => Promise.resolve(1))).rejects.toMatchObject({ name: 'AbortError' });
  });
});

describe('signing in', () => {
  it('sends the token once, in the body, and asks who that is', async () => {
    const asked = server({ status: 204 }, { body: { name: 'administrator', role: 'admin' } });
    expect(await signIn('secret', never)).toEqual({ name: 'administrator', role: 'admin' });
    expect(asked.map(({ url, init }) => [init?.method ?? 'GET', url])).toEqual([['POST', '/api/v1/session'], ['GET', '/api/v1/session']]);
    expect(asked[0]?.init?.body).toBe('{"token":"secret"}');
  });

  it('knows nobody from a 401, and nothing from other refusals', async () => {
    server({ status: 401, body: { code: 'session_missing' } }, { status: 503 });
    expect(await fetchAccount(never)).toBeNull();
    await expect(fetchAccount(never)).rejects.toMatchObject({ status: 503 });
  });
});

describe('keys and tokens', () => {
  it('are read, without the revoked ones', () => {
    const keys = parseKeys({
      keys: [
        { id: 'a', label: 'OBS', created_at: '2026-11-22T12:00:00Z', last_used_at: null, revoked_at: null },
        { id: 'b', label: '', created_at: 'x', revoked_at: '2026-11-22T13:00:00Z' },
        null,
      ],
    });
    expect(keys).toEqual([{ id: 'a', label: 'OBS', createdAt: new Date('2026-11-22T12:00:00Z'), lastUsedAt: null, expiresAt: null, isBackup: false }]);
    for (const bad of [null, {}, { keys: {} }]) expect(() => parseKeys(bad)).toThrow(TypeError);
  });

  it('a new key has its secret, or is none', () => {
    expect(parseNewKey({ id: 'a', key: 's', label: 'OBS' })).toMatchObject({ id: 'a', secret: 's' });
    expect(() => parseNewKey({ id: 'a', label: 'OBS' })).toThrow(TypeError);
  });

  it('a publish token is asked for the channel', async () => {
    const asked = server({ status: 201, body: { token: 't', expires_at: '2026-11-22T12:01:00Z' } }, { status: 201, body: {} });
    expect(await makePublishToken('demo', never)).toBe('t');
    expect(asked[0]).toMatchObject({ url: '/api/v1/channels/demo/publish-tokens', init: { method: 'POST' } });
    await expect(makePublishToken('demo', never)).rejects.toThrow(TypeError);
  });
});

describe('one channel', () => {
  it('tells how its last broadcast ended, to who may know', () => {
    expect(parseChannelDetails({ name: 'demo', last_end: { broadcast: 'b1', at: '', reason: 'ended' } })).toEqual({
      name: 'demo',
      title: 'demo',
      lastEnd: { broadcast: 'b1', reason: 'ended' },
      live: null,
    });
    for (const end of [null, undefined, {}, { broadcast: 'b1', reason: null }]) {
      expect(parseChannelDetails({ name: 'demo', last_end: end }).lastEnd).toBeNull();
    }
    for (const bad of [null, {}, { name: '../x' }]) expect(() => parseChannelDetails(bad)).toThrow(TypeError);
  });

  it('tells what is on it, and by whose session', () => {
    const live = (said: object) => parseChannelDetails({ name: 'demo', live: said }).live;
    expect(live({ broadcast: 'b1', state: 'live', session: 's1', role: 'backup' })).toEqual({ broadcast: 'b1', reconnecting: false, session: 's1', isBackup: true });
    expect(live({ broadcast: 'b1', state: 'reconnecting' })).toEqual({ broadcast: 'b1', reconnecting: true, session: null, isBackup: false });
    for (const none of [null, {}, 'live']) expect(parseChannelDetails({ name: 'demo', live: none }).live).toBeNull();
  });
});

describe('a broadcast is taken over', () => {
  const live = { broadcast: 'b1', reconnecting: false, session: 's2', isBackup: false };

  it('when another session is on', () => {
    expect(isTakenOver(live, 's1')).toBe(true);
    expect(isTakenOver(live, 's2')).toBe(false);
  });

  it('not while it waits, by a backup, or where a session is not known', () => {
    expect(isTakenOver({ ...live, reconnecting: true }, 's1')).toBe(false);
    expect(isTakenOver({ ...live, isBackup: true }, 's1')).toBe(false);
    expect(isTakenOver({ ...live, session: null }, 's1')).toBe(false);
    expect(isTakenOver(live, null)).toBe(false);
  });
});
