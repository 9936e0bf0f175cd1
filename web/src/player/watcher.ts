/** Turns a video element's time into events: playing, steady, stalled. Pure but for what `look` is told. */

/** No progress for this long, though there ought to be, is a stall that the viewer is told of. */
export const STALL_MS = 2_000;
/** So much progress in a row makes earlier faults forgotten. */
export const STEADY_MS = 10_000;

export type Sign = 'playing' | 'steady' | 'stalled';

/** What is seen of a video element at one instant. */
export interface Look {
  readonly nowMs: number;
  /** Position in the media, in seconds. */
  readonly position: number;
  /** Ought the picture to move? */
  readonly wanted: boolean;
}

export class Watcher {
  private position: number | null = null;
  private movedAtMs = 0;
  private movingSinceMs: number | null = null;

  /** Forgets the past: another broadcast, or a seek. */
  reset(): void {
    this.position = null;
    this.movingSinceMs = null;
  }

  /** What this look shows, or null where it shows nothing new. */
  look({ nowMs, position, wanted }: Look): Sign | null {
    const first = this.position === null;
    const moved = !first && position !== this.position;
    this.position = position;
    if (first || !wanted) return this.rest(nowMs);
    if (moved) return this.move(nowMs);
    if (nowMs - this.movedAtMs < STALL_MS) return null;
    this.movingSinceMs = null;
    return 'stalled';
  }

  private rest(nowMs: number): null {
    this.movedAtMs = nowMs;
    this.movingSinceMs = null;
    return null;
  }

  private move(nowMs: number): Sign {
    this.movedAtMs = nowMs;
    this.movingSinceMs ??= nowMs;
    return nowMs - this.movingSinceMs >= STEADY_MS ? 'steady' : 'playing';
  }
}
