import { afterEach, describe, expect, it, vi } from 'vitest';

import { HttpError } from '@/api/http';

import { goodbye, offer, troubleOf, type Asked } from './whip';

afterEach(() => {
  vi.unstubAllGlobals();
});

function answer(headers: Record<string, string>): Response {
  const response = new Response('v=0', { status: 201, headers });
  Object.defineProperty(response, 'url', { value: 'https://example.org/whip' });
  return response;
}

describe('an offer', () => {
  it('carries the token as bearer, and learns where its session is', async () => {
    const fetch = vi.fn(() => Promise.resolve(answer({ location: '/whip/sessions/1' })));
    vi.stubGlobal('fetch', fetch);
    expect(await offer('v=0', 'token', new AbortController().signal)).toEqual({ sdp: 'v=0', session: 'https://example.org/whip/sessions/1' });
    expect(fetch).toHaveBeenCalledWith('/whip', expect.objectContaining({
      method: 'POST',
      body: 'v=0',
      headers: { 'content-type': 'application/sdp', authorization: 'Bearer token' },
    }));
  });

  it('is not taken without a session', async () => {
    vi.stubGlobal('fetch', () => Promise.resolve(answer({})));
    await expect(offer('v=0', 'token', new AbortController().signal)).rejects.toThrow(TypeError);
  });
});

describe('a goodbye', () => {
  it('goes out with the same token, also while the page is being left', () => {
    const fetch = vi.fn(() => Promise.reject(new TypeError('offline')));
    vi.stubGlobal('fetch', fetch);
    goodbye('https://example.org/whip/sessions/1', 'token');
    expect(fetch).toHaveBeenCalledWith('https://example.org/whip/sessions/1', { method: 'DELETE', keepalive: true, headers: { authorization: 'Bearer token' } });
  });
});

describe('a refusal', () => {
  it('means what its status says, and where it came from', () => {
    const cases: [number, Asked, string][] = [
      [401, 'offer', 'tokenExpired'],
      [401, 'token', 'signedOut'],
      [403, 'offer', 'forbidden'],
      [404, 'token', 'channelGone'],
      [404, 'offer', 'network'],
      [409, 'offer', 'conflict'],
      [409, 'token', 'tooMany'],
      [422, 'offer', 'unacceptable'],
      [429, 'token', 'tooMany'],
      [503, 'offer', 'serverBusy'],
      [500, 'offer', 'network'],
    ];
    for (const [status, asked, kind] of cases) expect(troubleOf(new HttpError(status), asked).kind, `${status} of ${asked}`).toBe(kind);
  });

  it('brings the server’s words and wait', () => {
    expect(troubleOf(new HttpError(503, 'sessions_too_many', 'no room', 5), 'offer')).toEqual({ kind: 'serverBusy', said: 'no room', waitMs: 5_000 });
  });

  it('that never came is the network', () => {
    expect(troubleOf(new TypeError('Failed to fetch'), 'offer').kind).toBe('network');
  });
});
