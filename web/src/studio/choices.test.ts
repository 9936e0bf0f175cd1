import { describe, expect, it } from 'vitest';

import { filled, fall, FLOOR_DB, loudness, peakDb } from './level';
import { recall, remember, RESUME_MS_MAX, shouldResume, type Memory, type Store } from './memory';
import { clockWords } from './pattern';
import { pageRefusal, refusalOf } from './refusal';
import { cameraConstraints, contentHint, firstSettings, isMusic, microphoneConstraints, parseSettings, pictureBitrate, shrinkBy, widthOf, type Settings } from './settings';
import { durationWords, healthWords, sentWords, shareWords } from './words';

function store(): Store & { readonly kept: Map<string, string> } {
  const kept = new Map<string, string>();
  return { kept, getItem: (name) => kept.get(name) ?? null, setItem: (name, value) => kept.set(name, value) };
}

describe('settings', () => {
  it('come back as they were kept, and what is wrong comes back as at first', () => {
    const chosen: Settings = { ...firstSettings, source: 'screen', camera: 'c', withMicrophone: false, gain: 1.5, height: 1_080, frameRate: 60, bitrate: 6_000, mirrored: true };
    expect(parseSettings(JSON.parse(JSON.stringify(chosen)))).toEqual(chosen);
    const wrong = { source: 'x', camera: 7, gain: 99, height: 4_000, frameRate: '30', bitrate: 1, processing: [], muted: 'yes' };
    for (const bad of [wrong, null, [], 'x']) expect(parseSettings(bad)).toEqual(firstSettings);
  });

  it('ask a chosen device exactly, and sizes as wishes', () => {
    expect(cameraConstraints(firstSettings, 'c')).toEqual({ deviceId: { exact: 'c' }, width: { ideal: 1_280 }, height: { ideal: 720 }, frameRate: { ideal: 30 } });
    expect(cameraConstraints(firstSettings, null)).not.toHaveProperty('deviceId');
  });

  it('leave music as it is, in stereo', () => {
    const music = { ...firstSettings, processing: { echo: false, noise: false, gain: false } };
    expect([isMusic(music), isMusic(firstSettings)]).toEqual([true, false]);
    expect(microphoneConstraints(music, null)).toEqual({ echoCancellation: false, noiseSuppression: false, autoGainControl: false, channelCount: { ideal: 2 } });
  });

  it('give more bits to larger and quicker pictures, unless one chose', () => {
    const at = (height: Settings['height'], frameRate: Settings['frameRate']): number => pictureBitrate({ height, frameRate, bitrate: null });
    expect([at(360, 30), at(720, 30), at(720, 60), at(1_080, 30)]).toEqual([800, 2_500, 3_800, 4_500]);
    expect(pictureBitrate({ height: 360, frameRate: 15, bitrate: 8_000 })).toBe(8_000);
  });

  it('make pictures 16:9 and even, and shrink those that came larger', () => {
    expect([360, 480, 720, 1_080].map((height) => widthOf(height as Settings['height']))).toEqual([640, 854, 1_280, 1_920]);
    expect([shrinkBy(1_080, 720), shrinkBy(480, 720), shrinkBy(undefined, 720)]).toEqual([1.5, 1, 1]);
  });

  it('keep letters of a screen sharp, unless motion is wanted', () => {
    expect(contentHint({ source: 'screen', preference: 'balanced' })).toBe('detail');
    expect(contentHint({ source: 'screen', preference: 'smooth' })).toBe('motion');
    expect(contentHint({ source: 'camera', preference: 'sharp' })).toBe('motion');
  });
});

describe('memory', () => {
  const memory: Memory = { channel: 'demo', settings: { ...firstSettings, source: 'camera' }, liveSinceMs: 5, keptAtMs: 1_000 };

  it('outlives a reload', () => {
    const kept = store();
    remember(kept, memory);
    expect(recall(kept)).toEqual(memory);
  });

  it('of another form or of nothing is a first visit', () => {
    for (const text of ['', 'x', 'null', '{}', '{"version":0,"channel":"demo"}']) {
      const kept = store();
      kept.kept.set('headwater.studio', text);
      expect(recall(kept)).toMatchObject({ channel: null, liveSinceMs: null, settings: firstSettings });
    }
    const strange = store();
    strange.kept.set('headwater.studio', JSON.stringify({ version: 1, channel: '../x', liveSinceMs: 'x' }));
    expect(recall(strange)).toMatchObject({ channel: null, liveSinceMs: null });
  });

  it('is not needed: a browser may refuse to keep anything', () => {
    const full: Store = { getItem: () => { throw new DOMException('x', 'SecurityError'); }, setItem: () => { throw new DOMException('x', 'QuotaExceededError'); } };
    remember(full, memory);
    expect(recall(full).channel).toBeNull();
  });

  it('takes up a broadcast that was left just now, and no other', () => {
    expect(shouldResume(memory, 2_000)).toBe(true);
    expect(shouldResume(memory, memory.keptAtMs + RESUME_MS_MAX + 1)).toBe(false);
    expect(shouldResume(memory, 0)).toBe(false);
    expect(shouldResume({ ...memory, liveSinceMs: null }, 2_000)).toBe(false);
    expect(shouldResume({ ...memory, channel: null }, 2_000)).toBe(false);
  });
});

describe('meters', () => {
  it('show the loudest sample', () => {
    expect(peakDb(Float32Array.of(0, 0.5, -1))).toBe(0);
    expect(peakDb(Float32Array.of(0.1))).toBeCloseTo(-20);
    expect(peakDb(new Float32Array(4))).toBe(FLOOR_DB);
  });

  it('rise at once, fall slowly, and stay on the scale', () => {
    expect(fall(-40, -10, 0.1)).toBe(-10);
    expect(fall(-10, -60, 0.5)).toBe(-22);
    expect(fall(-60, -90, 1)).toBe(FLOOR_DB);
    expect([filled(0), filled(FLOOR_DB), filled(-30), filled(-Infinity)]).toEqual([1, 0, 0.5, 0]);
  });

  it('have words', () => {
    expect([-60, -30, -6, 0].map(loudness)).toEqual(['silent', 'good', 'loud', 'clipping']);
  });
});

describe('refused devices', () => {
  const refused = (name: string, wanted: 'camera' | 'screen' = 'camera'): string => refusalOf(new DOMException('', name), wanted);

  it('are told apart', () => {
    expect(['NotAllowedError', 'NotFoundError', 'NotReadableError', 'OverconstrainedError', 'TypeError', 'Odd'].map((name) => refused(name))).toEqual([
      'denied',
      'missing',
      'busy',
      'unfit',
      'unsupported',
      'failed',
    ]);
    expect(refused('NotAllowedError', 'screen')).toBe('dismissed');
    expect(refusalOf('nonsense', 'camera')).toBe('failed');
  });

  it('are first of all a matter of the page', () => {
    expect([pageRefusal(false, false), pageRefusal(true, false), pageRefusal(true, true)]).toEqual(['insecure', 'unsupported', null]);
  });
});

describe('words', () => {
  it('for durations', () => {
    expect([0, 65_000, 3_600_000, 36_061_000, -5].map(durationWords)).toEqual(['0:00', '1:05', '1:00:00', '10:01:01', '0:00']);
  });

  it('for the clock of the pattern', () => {
    expect(clockWords(new Date(2026, 10, 22, 7, 5, 9, 40).getTime())).toBe('07:05:09.04');
  });

  it('for health', () => {
    expect(healthWords({ grade: 'good', reason: null })).toMatch(/arrives/);
    expect(healthWords({ grade: 'fair', reason: 'cpu' })).toMatch(/computer is too slow/);
    expect([shareWords(0), shareWords(0.012), shareWords(0.5)]).toEqual(['0 %', '1.2 %', '50 %']);
    expect([sentWords({ width: 640, height: 360, codec: 'H264' }), sentWords({ width: null, height: 1, codec: null })]).toEqual(['640×360, H264', '–']);
  });
});
