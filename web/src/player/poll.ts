/** How long to wait before the channel's state is asked for again. Pure. */

import type { Phase } from './state';

/** The usual wait between two polls, in milliseconds. */
export const POLL_MS = 2_000;
/** While a viewer waits for the broadcast to begin: it is seen half of this late on average. */
const EAGER_POLL_MS = 1_000;
/** The longest wait after failures, in milliseconds. */
const FAILED_POLL_MS_MAX = 15_000;
/** A viewer who waits longer than this is polled more rarely, in milliseconds. */
const PATIENT_AFTER_MS = 5 * 60_000;
const PATIENT_POLL_MS = 5_000;
const VERY_PATIENT_AFTER_MS = 30 * 60_000;
const VERY_PATIENT_POLL_MS = 10_000;

/** `waitedMs` is how long the phase has lasted; `failures` how many polls failed in a row. */
export function pollDelayMs(phase: Phase, waitedMs: number, failures: number): number {
  if (failures > 0) return Math.min(POLL_MS * 2 ** (failures - 1), FAILED_POLL_MS_MAX);
  if (phase !== 'offline' && phase !== 'ended') return POLL_MS;
  if (waitedMs >= VERY_PATIENT_AFTER_MS) return VERY_PATIENT_POLL_MS;
  return waitedMs >= PATIENT_AFTER_MS ? PATIENT_POLL_MS : EAGER_POLL_MS;
}
