/** Reads signs from how much a video element has played: playing, steady, stalled, stuck. Knows only what `look` is told. */

/** No progress for this long, though there ought to be, is a stall that the viewer is told of. */
export const STALL_MS = 2_000;
/** No progress for this long wants another try. */
export const STUCK_MS = 12_000;
/** So much progress in a row makes earlier faults forgotten. */
export const STEADY_MS = 10_000;

export type Sign = 'playing' | 'steady' | 'stalled' | 'stuck';

/** What is seen of a video element at one instant. */
export interface Look {
  readonly nowMs: number;
  /** How much was played so far, in seconds. */
  readonly playedSeconds: number;
  /** Ought the picture to move? */
  readonly wanted: boolean;
}

export class Watcher {
  private playedSeconds: number | null = null;
  private movedAtMs = 0;
  private movingSinceMs: number | null = null;

  /** Forgets the past: another broadcast. */
  reset(): void {
    this.playedSeconds = null;
    this.movingSinceMs = null;
  }

  /** What this look shows, or null where it shows nothing new. */
  look({ nowMs, playedSeconds, wanted }: Look): Sign | null {
    const first = this.playedSeconds === null;
    const moved = !first && playedSeconds !== this.playedSeconds;
    this.playedSeconds = playedSeconds;
    if (first || !wanted) return this.rest(nowMs);
    if (moved) return this.move(nowMs);
    return this.stand(nowMs);
  }

  private rest(nowMs: number): null {
    this.movedAtMs = nowMs;
    this.movingSinceMs = null;
    return null;
  }

  /** Each wait of `STUCK_MS` is told once. */
  private stand(nowMs: number): Sign | null {
    const stoodMs = nowMs - this.movedAtMs;
    if (stoodMs < STALL_MS) return null;
    this.movingSinceMs = null;
    if (stoodMs < STUCK_MS) return 'stalled';
    this.movedAtMs = nowMs;
    return 'stuck';
  }

  private move(nowMs: number): Sign {
    this.movedAtMs = nowMs;
    this.movingSinceMs ??= nowMs;
    return nowMs - this.movingSinceMs >= STEADY_MS ? 'steady' : 'playing';
  }
}
