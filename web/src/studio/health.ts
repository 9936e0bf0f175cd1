/** How well a broadcast leaves this computer: two readings of the connection's figures, one verdict. Pure. */

/** What the connection has counted at one instant. */
export interface Reading {
  readonly atMs: number;
  /** Bytes sent, without headers and without what was sent again. */
  readonly bytes: number;
  /** Pictures that the encoder was given, and that it made. */
  readonly framesIn: number | null;
  readonly framesEncoded: number;
  readonly packets: number;
  readonly packetsAgain: number;
  /** Packets that the server missed, of all tracks. */
  readonly packetsLost: number;
  /** Share that the server missed lately, from 0 to 1; null before it has told. */
  readonly lossShare: number | null;
  readonly roundTripMs: number | null;
  readonly framesPerSecond: number | null;
  readonly width: number | null;
  readonly height: number | null;
  readonly limitedBy: Limit;
  readonly codec: string | null;
}

/** What keeps the picture from being better (WebRTC Statistics 8.4). */
export type Limit = 'none' | 'cpu' | 'bandwidth' | 'other';

export type Grade = 'good' | 'fair' | 'poor';

/** Why it is not better. */
export type Reason = 'nothingSent' | 'noPictures' | 'loss' | 'bandwidth' | 'cpu' | 'fewPictures' | 'delay' | null;

export interface Health {
  readonly grade: Grade;
  readonly reason: Reason;
  readonly bitsPerSecond: number;
  readonly lossShare: number;
  readonly roundTripMs: number | null;
  readonly framesPerSecond: number;
  /** Pictures that were not encoded since the first reading. */
  readonly framesDropped: number;
  readonly framesEncoded: number;
  readonly width: number | null;
  readonly height: number | null;
  readonly limitedBy: Limit;
  readonly codec: string | null;
}

/** What it is measured by. */
export interface Wish {
  readonly framesPerSecond: number;
  readonly bitsPerSecond: number;
  /** The connection is young: browsers begin with little, and grow. */
  readonly growing: boolean;
}

const LOSS_POOR = 0.05;
const LOSS_FAIR = 0.01;
const DELAY_FAIR_MS = 400;
const PICTURES_POOR = 0.5;
const PICTURES_FAIR = 0.8;
/** So far below the wish a bandwidth limit shows. */
const BANDWIDTH_POOR = 0.3;

/** Judges what lies between two readings; null where no time does. */
export function assess(before: Reading, after: Reading, wish: Wish): Health | null {
  const seconds = (after.atMs - before.atMs) / 1_000;
  if (seconds <= 0) return null;
  const encoded = after.framesEncoded - before.framesEncoded;
  const figures = {
    bitsPerSecond: Math.max(0, ((after.bytes - before.bytes) * 8) / seconds),
    lossShare: lossBetween(before, after),
    roundTripMs: after.roundTripMs,
    framesPerSecond: after.framesPerSecond ?? Math.max(0, encoded / seconds),
    framesDropped: dropped(after),
    framesEncoded: after.framesEncoded,
    width: after.width,
    height: after.height,
    limitedBy: after.limitedBy,
    codec: after.codec,
  };
  return { ...verdict(figures, wish), ...figures };
}

type Figures = Omit<Health, 'grade' | 'reason'>;

/** The worst sign decides; of two equally bad ones the one that a streamer can do most about. */
function verdict(figures: Figures, wish: Wish): Pick<Health, 'grade' | 'reason'> {
  const { lossShare, framesPerSecond, limitedBy, bitsPerSecond, roundTripMs } = figures;
  const pictures = framesPerSecond / wish.framesPerSecond;
  if (bitsPerSecond === 0) return { grade: 'poor', reason: 'nothingSent' };
  if (framesPerSecond === 0) return { grade: 'poor', reason: 'noPictures' };
  if (lossShare >= LOSS_POOR) return { grade: 'poor', reason: 'loss' };
  if (wish.growing && limitedBy !== 'cpu') return { grade: 'good', reason: null };
  if (pictures < PICTURES_POOR) return { grade: 'poor', reason: limitReason(limitedBy) ?? 'fewPictures' };
  if (limitedBy === 'bandwidth') {
    return { grade: bitsPerSecond < wish.bitsPerSecond * BANDWIDTH_POOR ? 'poor' : 'fair', reason: 'bandwidth' };
  }
  if (limitedBy === 'cpu') return { grade: 'fair', reason: 'cpu' };
  if (lossShare >= LOSS_FAIR) return { grade: 'fair', reason: 'loss' };
  if (pictures < PICTURES_FAIR) return { grade: 'fair', reason: 'fewPictures' };
  if (roundTripMs !== null && roundTripMs >= DELAY_FAIR_MS) return { grade: 'fair', reason: 'delay' };
  return { grade: 'good', reason: null };
}

function limitReason(limit: Limit): Reason {
  return limit === 'cpu' || limit === 'bandwidth' ? limit : null;
}

/** The share of the packets between the readings that the server missed. */
function lossBetween(before: Reading, after: Reading): number {
  const sent = after.packets - before.packets;
  const lost = Math.max(0, after.packetsLost - before.packetsLost);
  if (sent <= 0) return 0;
  return Math.min(1, Math.max(lost / sent, after.lossShare ?? 0));
}

function dropped({ framesIn, framesEncoded }: Reading): number {
  return framesIn === null ? 0 : Math.max(0, framesIn - framesEncoded);
}
