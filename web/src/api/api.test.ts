import { describe, expect, it } from 'vitest';

import { channelOfPath, isChannelName, parseChannelPage } from './channels';
import { parseState, thumbnailUrl } from './live';

describe('channel names', () => {
  it('are path-safe slugs, as on the server', () => {
    for (const good of ['demo', 'a', 'a-b', '0', 'a--b', 'a'.repeat(64)]) expect(isChannelName(good), good).toBe(true);
    for (const bad of ['', '-a', 'a-', 'A', 'a b', 'a/b', '..', 'ä', 'a.m3u8', 'a'.repeat(65)]) {
      expect(isChannelName(bad), bad).toBe(false);
    }
  });

  it('are read from the path of the watch page', () => {
    expect(channelOfPath('/watch/demo')).toBe('demo');
    expect(channelOfPath('/watch/demo/')).toBe('demo');
    for (const bad of ['/watch', '/watch/', '/watch/_', '/watch/a/b', '/watch/%2e%2e', '/x/demo']) {
      expect(channelOfPath(bad), bad).toBeNull();
    }
  });
});

describe('the list of channels', () => {
  it('keeps what is a channel and names the next page', () => {
    const page = parseChannelPage({ channels: [{ name: 'demo', title: 'Demo' }, { name: '../x' }, null, { name: 'b' }], next: 'n' });
    expect(page).toEqual({ items: [{ name: 'demo', title: 'Demo' }, { name: 'b', title: 'b' }], nextCursor: 'n' });
    expect(parseChannelPage({ channels: [] }).nextCursor).toBeNull();
  });

  it('refuses what is no page', () => {
    for (const bad of [null, [], {}, { channels: {} }]) expect(() => parseChannelPage(bad)).toThrow(TypeError);
  });
});

describe('the state of a channel', () => {
  it('live names its broadcast and playlist', () => {
    const body = { state: 'live', broadcast: 'b1', title: 'Demo', started_at: '2026-11-22T12:00:00Z', playlist: '/live/demo/index.m3u8' };
    expect(parseState(body, 'demo')).toEqual({
      kind: 'live',
      broadcast: { id: 'b1', src: '/live/demo/index.m3u8' },
      title: 'Demo',
      startedAt: new Date('2026-11-22T12:00:00Z'),
      reconnecting: false,
      dvr: null,
    });
    expect(parseState({ state: 'live', broadcast: 'b1', playlist: 'index.m3u8' }, 'demo')).toMatchObject({ broadcast: { src: '/live/demo/index.m3u8' } });
    expect(parseState({ state: 'live', broadcast: 'b1' }, 'demo')).toMatchObject({ broadcast: { src: '/live/demo/index.m3u8' }, startedAt: null });
  });

  it('is live also while the streamer reconnects', () => {
    const body = { state: 'live', broadcast: 'b1', reconnecting: true };
    expect(parseState(body, 'demo')).toMatchObject({ kind: 'live', broadcast: { id: 'b1' }, reconnecting: true });
    expect(parseState({ ...body, reconnecting: 'yes' }, 'demo')).toMatchObject({ reconnecting: false });
  });

  it('says what can be rewound to', () => {
    const body = { state: 'live', broadcast: 'b1' };
    const dvr = { src: '/live/demo/dvr.m3u8', seconds: 600 };
    expect(parseState({ ...body, dvr: { playlist: '/live/demo/dvr.m3u8', seconds: 600 } }, 'demo')).toMatchObject({ dvr });
    expect(parseState({ ...body, dvr: { seconds: 600 } }, 'demo')).toMatchObject({ dvr });
    for (const none of [null, {}, { seconds: 0 }, { seconds: '600' }, []]) {
      expect(parseState({ ...body, dvr: none }, 'demo')).toMatchObject({ dvr: null });
    }
  });

  it('refuses what is no state', () => {
    expect(parseState({ state: 'offline' }, 'demo')).toEqual({ kind: 'offline', title: null });
    for (const bad of [null, [], {}, { state: 'x' }, 'live']) expect(() => parseState(bad, 'demo')).toThrow(TypeError);
  });
});

describe('the picture of a channel', () => {
  it('is asked for anew when its version changes', () => {
    expect(thumbnailUrl('demo', 7)).toBe('/live/demo/thumbnail.jpg?t=7');
  });
});
