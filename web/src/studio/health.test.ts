import { describe, expect, it } from 'vitest';

import { assess, type Limit, type Reading } from './health';
import { readStats } from './reading';

const start: Reading = {
  atMs: 0,
  bytes: 0,
  framesIn: 0,
  framesEncoded: 0,
  packets: 0,
  packetsAgain: 0,
  packetsLost: 0,
  lossShare: null,
  roundTripMs: 20,
  framesPerSecond: null,
  width: 1_280,
  height: 720,
  limitedBy: 'none',
  codec: 'H264',
};
/** A second in which everything was fine. */
const fine: Reading = { ...start, atMs: 1_000, bytes: 312_500, framesIn: 30, framesEncoded: 30, packets: 300, framesPerSecond: 30 };
const wish = { framesPerSecond: 30, bitsPerSecond: 2_500_000, growing: false };

function verdict(change: Partial<Reading>): string {
  const health = assess(start, { ...fine, ...change }, wish);
  return `${health?.grade ?? '–'} ${health?.reason ?? '–'}`;
}

describe('health', () => {
  it('is good while all arrives, and gives the figures', () => {
    expect(assess(start, fine, wish)).toMatchObject({ grade: 'good', reason: null, bitsPerSecond: 2_500_000, lossShare: 0, framesPerSecond: 30, roundTripMs: 20 });
  });

  it('gets worse with loss', () => {
    expect(verdict({ packetsLost: 2 })).toBe('good –');
    expect(verdict({ packetsLost: 6 })).toBe('fair loss');
    expect(verdict({ packetsLost: 30 })).toBe('poor loss');
    expect(verdict({ lossShare: 0.08 })).toBe('poor loss');
  });

  it('tells what limits the picture', () => {
    expect(verdict({ limitedBy: 'cpu' })).toBe('fair cpu');
    expect(verdict({ limitedBy: 'cpu', framesPerSecond: 10 })).toBe('poor cpu');
    expect(verdict({ limitedBy: 'bandwidth' })).toBe('fair bandwidth');
    expect(verdict({ limitedBy: 'bandwidth', bytes: 50_000 })).toBe('poor bandwidth');
  });

  it('sees a source that gives too few pictures, and a long way', () => {
    expect(verdict({ framesPerSecond: 20 })).toBe('fair fewPictures');
    expect(verdict({ framesPerSecond: 5 })).toBe('poor fewPictures');
    expect(verdict({ roundTripMs: 500 })).toBe('fair delay');
  });

  it('gives a young connection time to grow, but hides no fault', () => {
    const young = { ...wish, growing: true };
    const small: Reading = { ...fine, bytes: 30_000, framesPerSecond: 12, limitedBy: 'bandwidth' };
    expect(assess(start, small, young)).toMatchObject({ grade: 'good' });
    expect(assess(start, { ...small, packetsLost: 30 }, young)).toMatchObject({ grade: 'poor', reason: 'loss' });
    expect(assess(start, { ...small, limitedBy: 'cpu' }, young)).toMatchObject({ grade: 'poor', reason: 'cpu' });
  });

  it('is poor when nothing leaves', () => {
    expect(verdict({ bytes: 0 })).toBe('poor nothingSent');
    expect(verdict({ framesPerSecond: null, framesEncoded: 0 })).toBe('poor noPictures');
  });

  it('counts pictures that were not encoded', () => {
    expect(assess(start, { ...fine, framesIn: 40 }, wish)).toMatchObject({ framesDropped: 10, framesEncoded: 30 });
    expect(assess(start, { ...fine, framesIn: null }, wish)).toMatchObject({ framesDropped: 0 });
  });

  it('needs time between its readings, and forgives counters that start again', () => {
    expect(assess(fine, fine, wish)).toBeNull();
    expect(assess(fine, { ...start, atMs: 2_000 }, wish)).toMatchObject({ bitsPerSecond: 0, lossShare: 0 });
  });
});

describe('a report of the browser', () => {
  const report: [string, unknown][] = [
    ['v', { id: 'v', type: 'outbound-rtp', kind: 'video', bytesSent: 1_000, retransmittedBytesSent: 100, packetsSent: 10, framesEncoded: 30, framesPerSecond: 29, frameWidth: 640, frameHeight: 360, qualityLimitationReason: 'cpu' satisfies Limit, codecId: 'c' }],
    ['a', { id: 'a', type: 'outbound-rtp', kind: 'audio', bytesSent: 500, packetsSent: 50 }],
    ['rv', { id: 'rv', type: 'remote-inbound-rtp', kind: 'video', packetsLost: 3, fractionLost: 0.02, roundTripTime: 0.05 }],
    ['s', { id: 's', type: 'media-source', kind: 'video', frames: 33 }],
    ['p', { id: 'p', type: 'candidate-pair', nominated: true, state: 'succeeded', currentRoundTripTime: 0.012 }],
    ['c', { id: 'c', type: 'codec', mimeType: 'video/H264' }],
  ];

  it('becomes a reading', () => {
    expect(readStats(report, 7)).toEqual({
      atMs: 7, bytes: 1_400, framesIn: 33, framesEncoded: 30, packets: 60, packetsAgain: 0, packetsLost: 3, lossShare: 0.02,
      roundTripMs: 12, framesPerSecond: 29, width: 640, height: 360, limitedBy: 'cpu', codec: 'H264',
    });
  });

  it('may lack everything', () => {
    expect(readStats([], 0)).toMatchObject({ bytes: 0, framesIn: null, roundTripMs: null, limitedBy: 'none', codec: null });
    expect(readStats(report.filter(([id]) => id !== 'p'), 0).roundTripMs).toBe(50);
  });
});
