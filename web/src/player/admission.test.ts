import { describe, expect, it, vi } from 'vitest';

import { HttpError } from '@/api/http';
import { parseBeat, parsePlayback } from '@/api/playback';

import { Admission, rightOf, withToken } from './admission';
import { initialState, step } from './state';

describe('the token in an address', () => {
  it('gives way to the newest, wherever the address came from', () => {
    expect(withToken('https://tv.example/t/a.b.c/live/demo/b1/720p/part-1.m4s?_HLS_msn=1', 'x.y.z')).toBe(
      'https://tv.example/t/x.y.z/live/demo/b1/720p/part-1.m4s?_HLS_msn=1',
    );
    expect(withToken('/t/a.b.c/live/t/live/index.m3u8', 'x')).toBe('/t/x/live/t/live/index.m3u8');
  });

  it('is put into no address that had none', () => {
    for (const url of ['/live/demo/index.m3u8', 'https://tv.example/live/t/x/720p/index.m3u8', '/t/a/api/v1']) {
      expect(withToken(url, 'x')).toBe(url);
    }
    expect(withToken('/t/a.b.c/live/demo/index.m3u8', null)).toBe('/t/a.b.c/live/demo/index.m3u8');
  });
});

describe('a right to watch', () => {
  it('is read from the code of a refusal', () => {
    expect(rightOf(new HttpError(403, 'members_only'))).toBe('needed');
    expect(rightOf(new HttpError(403, 'token_expired'))).toBe('needed');
    expect(rightOf(new HttpError(401, 'sign_in_needed'))).toBe('signIn');
    expect(rightOf(new HttpError(403, 'not_a_member'))).toBe('notMember');
    expect(rightOf(new HttpError(403, 'viewer_put_out'))).toBe('putOut');
    expect(rightOf(new HttpError(404, 'channel_offline'))).toBeNull();
    expect(rightOf(new TypeError('offline'))).toBeNull();
  });

  it('that is gone ends playback, and another try begins anew', () => {
    const broadcast = { id: 'b1', src: '/t/a/live/demo/index.m3u8' };
    const playing = step(step(initialState, { type: 'polledLive', broadcast }).state, { type: 'playing' }).state;
    const out = step(playing, { type: 'keptOut', why: 'putOut' });
    expect(out.state).toMatchObject({ phase: 'failed', failure: 'putOut', attached: null });
    expect(out.commands).toEqual([{ do: 'detach' }]);
    expect(step(out.state, { type: 'retry' })).toMatchObject({ state: { phase: 'connecting' }, commands: [{ do: 'poll' }] });
  });
});

describe('a viewer of a public channel', () => {
  it('plays on where the API does not answer', async () => {
    vi.stubGlobal('window', { addEventListener: vi.fn(), setTimeout, clearTimeout });
    vi.stubGlobal('fetch', () => Promise.reject(new TypeError('away')));
    const keptOut = vi.fn();
    const admission = new Admission('demo', () => true, new AbortController().signal, keptOut);
    admission.watch();
    await expect(admission.ask()).rejects.toThrow('away');
    expect(admission.base()).toBe('');
    expect(admission.current('/live/demo/index.m3u8')).toBe('/live/demo/index.m3u8');
    expect(keptOut).not.toHaveBeenCalled();
    vi.unstubAllGlobals();
  });
});

describe('what the API answers', () => {
  it('is read, and anything else refused', () => {
    const body = { viewer_session: 'v', token: 'a.b.c', base: '', heartbeat_s: 30 };
    expect(parsePlayback(body)).toEqual({ id: 'v', token: 'a.b.c', base: '', heartbeatMs: 30_000 });
    expect(parseBeat({ state: 'watching', token: 'x' })).toEqual({ state: 'watching', token: 'x' });
    expect(parseBeat({ state: 'put_out' })).toEqual({ state: 'put_out', token: null });
    for (const bad of [null, {}, { ...body, token: 7 }, { ...body, heartbeat_s: '30' }]) expect(() => parsePlayback(bad)).toThrow(TypeError);
    for (const bad of [null, {}, { state: 'x' }]) expect(() => parseBeat(bad)).toThrow(TypeError);
  });
});
