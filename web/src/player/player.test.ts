import { describe, expect, it } from 'vitest';

import { keyAction } from './keys';
import { pollDelayMs } from './poll';
import { STALL_MS, STEADY_MS, STUCK_MS, Watcher, type Sign } from './watcher';
import { behindWords, bitrateWords, latencyWords, levelWords, plausibleLatency } from './words';

describe('polling', () => {
  it('a viewer who waits is polled each second, and more rarely after minutes', () => {
    expect(pollDelayMs('offline', 0, 0)).toBe(1_000);
    expect(pollDelayMs('ended', 10 * 60_000, 0)).toBe(5_000);
    expect(pollDelayMs('offline', 60 * 60_000, 0)).toBe(10_000);
    expect(pollDelayMs('live', 60 * 60_000, 0)).toBe(2_000);
  });

  it('backs off from a server that does not answer, within a bound', () => {
    expect([1, 2, 3, 4, 50].map((failures) => pollDelayMs('offline', 0, failures))).toEqual([2_000, 4_000, 8_000, 15_000, 15_000]);
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
