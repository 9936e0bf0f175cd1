import { describe, expect, it } from 'vitest';

import { keyAction } from './keys';
import { mayBeHeld, pollDelayMs } from './poll';
import { parseStart } from './start';
import { startOf, untilFirstSegment, withRoundedEnds } from './startPosition';
import { STALL_MS, STEADY_MS, STUCK_MS, Watcher, type Sign } from './watcher';
import { behindWords, bitrateWords, latencyWords, levelWords, plausibleLatency } from './words';

describe('polling', () => {
  it('a viewer who waits is answered as soon as it begins, and asks rarely after half an hour', () => {
    for (const phase of ['offline', 'ended'] as const) {
      expect(mayBeHeld(phase, 0, 0)).toBe(true);
      expect(mayBeHeld(phase, 29 * 60_000, 0)).toBe(true);
      expect(mayBeHeld(phase, 30 * 60_000, 0)).toBe(false);
      expect(pollDelayMs(phase, 30 * 60_000, 0, 5)).toBe(10_000);
    }
    for (const phase of ['connecting', 'live', 'reconnecting', 'failed'] as const) {
      expect(mayBeHeld(phase, 0, 0)).toBe(false);
      expect(pollDelayMs(phase, 60 * 60_000, 0, 5)).toBe(2_000);
    }
  });

  it('a question that was held is asked again at once, and no server is asked more than once a second', () => {
    expect(pollDelayMs('offline', 0, 0, 20_000)).toBe(0);
    expect(pollDelayMs('ended', 10 * 60_000, 0, 300)).toBe(700);
    expect(pollDelayMs('offline', 0, 0, 0)).toBe(1_000);
  });

  it('backs off from a server that does not answer, within a bound', () => {
    expect(mayBeHeld('offline', 0, 1)).toBe(false);
    const delays = [1, 2, 3, 4, 50].map((failures) => pollDelayMs('offline', 0, failures, 30_000));
    expect(delays).toEqual([2_000, 4_000, 8_000, 15_000, 15_000]);
  });
});

describe('what the page brings', () => {
  const live = { state: 'live', broadcast: 'b1', title: 'A test', playlist: '/live/demo/index.m3u8' };

  it('is the state of this channel and its playlist', () => {
    const start = parseStart(JSON.stringify({ channel: 'demo', state: live, multivariant: '#EXTM3U' }), 'demo');
    expect(start?.multivariant).toBe('#EXTM3U');
    expect(start?.state).toMatchObject({ kind: 'live', broadcast: { id: 'b1', src: '/live/demo/index.m3u8' } });
    const offline = parseStart('{"channel":"demo","state":{"state":"offline"},"multivariant":null}', 'demo');
    expect(offline).toEqual({ state: { kind: 'offline', title: null }, multivariant: null });
  });

  it('is nothing where nothing usable is there', () => {
    const other = JSON.stringify({ channel: 'other', state: live, multivariant: null });
    for (const text of ['', '<!--', 'null', '{}', '{"channel":"demo"}', '{"channel":"demo","state":{"state":"x"}}', other]) {
      expect(parseStart(text, 'demo')).toBeNull();
    }
  });
});

describe('where playback starts', () => {
  const playlist = (parts: readonly string[], holdBack = '1.026') =>
    [`#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=${holdBack}`, '#EXTINF:2.00000,', 'seg-1-4.m4s', ...parts].join('\n');
  const part = (independent = false) => `#EXT-X-PART:DURATION=0.33333,URI="part.m4s"${independent ? ',INDEPENDENT=YES' : ''}`;

  it('at the newest picture that needs none before it, at the hold-back or before', () => {
    const segment = [part(true), part(), part(), part(), part(), part()];
    const far = startOf(playlist([...segment, part(true), part()]));
    expect(far?.holdBack).toBe(1.026);
    expect(far?.behindEdge).toBeCloseTo(8 * 0.33333 - 0.02, 5);
    expect(startOf(playlist([part(true), part(), part(), part()]))?.behindEdge).toBeCloseTo(4 * 0.33333 - 0.02, 5);
    expect(startOf(playlist(segment.map(() => part(true)), '1.000'))?.behindEdge).toBeCloseTo(4 * 0.33333 - 0.02, 5);
  });

  it('at the first picture of a broadcast that is younger than the hold-back', () => {
    const young = (...parts: string[]): string => playlist(parts).replace(/#EXTINF:.*\n.*\n/, '');
    expect(startOf(young(part(true), part(), part()))?.behindEdge).toBeCloseTo(3 * 0.33333 + 0.02, 5);
    expect(startOf(young(part(true), part(true)))?.behindEdge).toBeCloseTo(2 * 0.33333 + 0.02, 5);
    expect(startOf(playlist([part(true), part(true)]))?.behindEdge).toBeCloseTo(2 * 0.33333 - 0.02, 5);
  });

  it('is the player library\'s choice where there is no such part', () => {
    expect(startOf(playlist([part(), part(), part()]))).toBeNull();
    expect(startOf(playlist([part(), part(), part(), part(), part()]))).toBeNull();
    expect(startOf('#EXTM3U\n#EXTINF:6.00000,\nseg-1-1.m4s')).toBeNull();
    expect(startOf('')).toBeNull();
  });

  it('segments with parts end where browsers say so, and others where the server does', () => {
    const segments = '#EXTINF:1.00000,\nseg-1-1.m4s\n#EXTINF:2.00000,\nseg-1-2.m4s';
    const rounded = '#EXTINF:0.99998,\nseg-1-1.m4s\n#EXTINF:1.99998,\nseg-1-2.m4s';
    expect(withRoundedEnds(`${part(true)}\n${segments}`)).toBe(`${part(true)}\n${rounded}`);
    expect(withRoundedEnds(segments)).toBe(segments);
  });

  it('waits for the first whole segment where there is none yet', () => {
    const control = '#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=1.026\n#EXT-X-MEDIA-SEQUENCE:7\n';
    const url = '/live/demo/b1/360p/index.m3u8';
    expect(untilFirstSegment(url, `${control}${part(true)}`)).toBe(`${url}?_HLS_msn=7`);
    expect(untilFirstSegment(`${url}?_HLS_msn=7`, `${control}${part(true)}`)).toBeNull();
    expect(untilFirstSegment(url, `${control}${part(true)}\n#EXT-X-ENDLIST`)).toBeNull();
    expect(untilFirstSegment(url, playlist([part(true)]))).toBeNull();
    expect(untilFirstSegment(url, part(true))).toBeNull();
    expect(untilFirstSegment(url, control)).toBeNull();
  });
});

describe('keys', () => {
  it('space and arrows stay with the control that has the focus', () => {
    expect(keyAction(' ', 'page')).toBe('togglePlay');
    expect(keyAction(' ', 'button')).toBeNull();
    expect(keyAction('ArrowUp', 'button')).toBe('volumeUp');
    expect(keyAction('ArrowUp', 'field')).toBeNull();
    expect([keyAction('Home', 'page'), keyAction('End', 'button')]).toEqual(['toStart', 'toLive']);
    expect([keyAction('Home', 'field'), keyAction('End', 'field'), keyAction('Home', 'text')]).toEqual([null, null, null]);
    expect(keyAction('M', 'field')).toBe('toggleMute');
    expect(keyAction('m', 'text')).toBeNull();
    expect(keyAction('x', 'page')).toBeNull();
  });
});

describe('watching the picture', () => {
  const wanted = true;

  it('moving is playing, and steady after a while', () => {
    const watcher = new Watcher();
    const signs = new Map<number, Sign | null>();
    for (let nowMs = 0; nowMs <= STEADY_MS + 500; nowMs += 250) {
      signs.set(nowMs, watcher.look({ nowMs, playedSeconds: nowMs / 1_000, wanted }));
    }
    expect(signs.get(0)).toBeNull();
    expect(signs.get(250)).toBe('playing');
    expect(signs.get(STEADY_MS)).toBe('playing');
    expect(signs.get(STEADY_MS + 250)).toBe('steady');
  });

  it('a picture that stands still is a stall only when it ought to move', () => {
    const watcher = new Watcher();
    watcher.look({ nowMs: 0, playedSeconds: 1, wanted });
    expect(watcher.look({ nowMs: STALL_MS - 1, playedSeconds: 1, wanted })).toBeNull();
    expect(watcher.look({ nowMs: STALL_MS, playedSeconds: 1, wanted })).toBe('stalled');
    expect(watcher.look({ nowMs: 9 * STALL_MS, playedSeconds: 1, wanted: false })).toBeNull();
    expect(watcher.look({ nowMs: 10 * STALL_MS - 1, playedSeconds: 1, wanted })).toBeNull();
  });

  it('a picture that never moves is stuck once per wait', () => {
    const watcher = new Watcher();
    const stuckAtMs: number[] = [];
    for (let nowMs = 0; nowMs < 3 * STUCK_MS; nowMs += 250) {
      if (watcher.look({ nowMs, playedSeconds: 0, wanted }) === 'stuck') stuckAtMs.push(nowMs);
    }
    expect(stuckAtMs).toEqual([STUCK_MS, 2 * STUCK_MS]);
  });

  it('forgets another broadcast', () => {
    const watcher = new Watcher();
    watcher.look({ nowMs: 0, playedSeconds: 1, wanted });
    watcher.reset();
    expect(watcher.look({ nowMs: 250, playedSeconds: 9, wanted })).toBeNull();
  });
});

describe('words', () => {
  it('bitrates and levels read as people say them', () => {
    expect(bitrateWords(128_000)).toBe('128 kbit/s');
    expect(bitrateWords(2_540_000)).toBe('2.5 Mbit/s');
    expect(levelWords({ index: 0, height: 720, bitrate: 2_540_000 })).toBe('720p, 2.5 Mbit/s');
    expect(levelWords({ index: 0, height: 0, bitrate: 128_000 })).toBe('Audio, 128 kbit/s');
  });

  it('a latency that can only be a wrong clock is not shown', () => {
    expect(latencyWords(plausibleLatency(1.44))).toBe('1.4 s');
    expect(latencyWords(plausibleLatency(-3))).toBe('– s');
    expect(plausibleLatency(4_000)).toBeNull();
  });
});

describe('how far behind live', () => {
  it('is said in words, as exactly as anybody wants to know', () => {
    const said = [0, 2.4, 3, 59.6, 61, 120, 3_600, 3_725, 43_199].map(behindWords);
    expect(said).toEqual([
      'Live',
      'Live',
      '3 s behind live',
      '1 min behind live',
      '1 min 1 s behind live',
      '2 min behind live',
      '1 h behind live',
      '1 h 2 min behind live',
      '11 h 59 min behind live',
    ]);
  });
});
