/** Where in the broadcast a viewer is who went back. Knows what it is told, and no clock. */

/** Less far behind, live playback is the better one: its list goes that far back too. */
const NEAR_SECONDS = 8;
/** A live picture later than this is not the usual latency but a stall; in seconds. */
const LATENCY_SECONDS_MAX = 60;
/** A wanted place that was not reached by then cannot be had. */
const PATIENCE_MS = 5_000;

export class Rewinding {
  /** The capture time of what is shown, or wanted; null is live. */
  private date: Date | null = null;
  /** How old a picture is that is live, by the clock of this machine, which may be wrong; in milliseconds. */
  private liveAgeMs = 0;
  /** Until then what was wanted counts, and not what is on screen. */
  private wishUntilMs = 0;

  readonly nearSeconds = NEAR_SECONDS;

  isOn(): boolean {
    return this.date !== null;
  }

  /** What is shown, or wanted; null is live. */
  at(): Date | null {
    return this.date;
  }

  begin(date: Date, nowMs: number): void {
    this.date = date;
    this.wishUntilMs = nowMs + PATIENCE_MS;
  }

  /** True if the viewer was back in the broadcast. */
  end(): boolean {
    const was = this.date !== null;
    this.date = null;
    return was;
  }

  /** The capture time of what was live so many seconds ago. */
  dateOf(seconds: number, nowMs: number): Date {
    return new Date(nowMs - this.liveAgeMs - seconds * 1_000);
  }

  /** How far behind live that is which was captured at `date`, in seconds. */
  behind(date: Date, nowMs: number): number {
    return Math.max(0, (nowMs - this.liveAgeMs - date.getTime()) / 1_000);
  }

  /** What was captured at `shown` is on screen, so far behind where live playback belongs. */
  look(shown: Date | null, behindSeconds: number | null, nowMs: number): void {
    if (shown === null) return;
    const ageMs = nowMs - shown.getTime();
    if (this.date === null) {
      if (behindSeconds !== null && behindSeconds < LATENCY_SECONDS_MAX) this.liveAgeMs = ageMs - behindSeconds * 1_000;
      return;
    }
    // Until the wanted place is reached, what is on screen is the one before.
    const isThere = Math.abs(shown.getTime() - this.date.getTime()) <= NEAR_SECONDS * 1_000;
    if (!isThere && nowMs < this.wishUntilMs) return;
    this.wishUntilMs = 0;
    this.date = shown;
  }
}
