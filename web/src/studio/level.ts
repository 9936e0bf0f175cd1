/** Loudness as people read it. Pure. */

/** The quietest that a meter shows, in dBFS. */
export const FLOOR_DB = -60;
/** From here on it is loud, and from `CLIP_DB` on too loud, in dBFS. */
export const LOUD_DB = -12;
export const CLIP_DB = -1;
/** How fast a meter falls, in dB per second: slow enough to read. */
const FALL_DB_PER_SECOND = 24;

export type Loudness = 'silent' | 'good' | 'loud' | 'clipping';

/** The peak of samples between -1 and 1, in dBFS, not below the floor. */
export function peakDb(samples: Float32Array): number {
  let peak = 0;
  for (const sample of samples) peak = Math.max(peak, Math.abs(sample));
  return peak === 0 ? FLOOR_DB : Math.max(FLOOR_DB, 20 * Math.log10(peak));
}

/** Where a meter stands: up at once, down slowly. */
export function fall(shownDb: number, peak: number, elapsedSeconds: number): number {
  return Math.max(peak, shownDb - FALL_DB_PER_SECOND * elapsedSeconds, FLOOR_DB);
}

/** How much of the meter is filled, from 0 to 1. */
export function filled(db: number): number {
  return Math.min(1, Math.max(0, 1 - db / FLOOR_DB));
}

export function loudness(db: number): Loudness {
  if (db <= FLOOR_DB) return 'silent';
  if (db >= CLIP_DB) return 'clipping';
  return db >= LOUD_DB ? 'loud' : 'good';
}
