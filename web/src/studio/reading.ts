/** Reads the figures of a connection (`getStats`) into a `Reading`. Pure. */

import { isRecord, textAt } from '@/api/http';

import type { Limit, Reading } from './health';

type Entry = Record<string, unknown>;

/** The reading at `atMs`; figures that a browser does not give are null or zero. */
export function readStats(report: Iterable<readonly [string, unknown]>, atMs: number): Reading {
  const entries = [...report].map(([, entry]) => entry).filter(isRecord);
  const ofType = (type: string): Entry[] => entries.filter((entry) => entry.type === type);
  const sent = ofType('outbound-rtp');
  const heard = ofType('remote-inbound-rtp');
  const video = sent.find(({ kind }) => kind === 'video') ?? {};
  const source = ofType('media-source').find(({ kind }) => kind === 'video') ?? {};
  const codec = entries.find(({ id }) => id !== undefined && id === video.codecId);
  return {
    atMs,
    bytes: sum(sent, 'bytesSent') - sum(sent, 'retransmittedBytesSent'),
    framesIn: figure(source, 'frames'),
    framesEncoded: figure(video, 'framesEncoded') ?? 0,
    packets: sum(sent, 'packetsSent'),
    packetsAgain: sum(sent, 'retransmittedPacketsSent'),
    packetsLost: sum(heard, 'packetsLost'),
    lossShare: most(heard, 'fractionLost'),
    roundTripMs: roundTrip(ofType('candidate-pair'), heard),
    framesPerSecond: figure(video, 'framesPerSecond'),
    width: figure(video, 'frameWidth'),
    height: figure(video, 'frameHeight'),
    limitedBy: limit(video.qualityLimitationReason),
    codec: codec === undefined ? null : (textAt(codec, 'mimeType')?.replace(/^video\//, '') ?? null),
  };
}

/** Of the pair in use; else what the receiver's reports give. */
function roundTrip(pairs: readonly Entry[], heard: readonly Entry[]): number | null {
  const used = pairs.find((pair) => pair.nominated === true && pair.state === 'succeeded');
  const seconds = (used === undefined ? null : figure(used, 'currentRoundTripTime')) ?? most(heard, 'roundTripTime');
  return seconds === null ? null : Math.round(seconds * 1_000);
}

function figure(entry: Entry, name: string): number | null {
  const value = entry[name];
  return typeof value === 'number' && Number.isFinite(value) ? value : null;
}

function sum(entries: readonly Entry[], name: string): number {
  return entries.reduce((total, entry) => total + (figure(entry, name) ?? 0), 0);
}

function most(entries: readonly Entry[], name: string): number | null {
  const values = entries.flatMap((entry) => figure(entry, name) ?? []);
  return values.length === 0 ? null : Math.max(...values);
}

function limit(reason: unknown): Limit {
  return reason === 'cpu' || reason === 'bandwidth' || reason === 'other' ? reason : 'none';
}
