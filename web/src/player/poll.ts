/** When the channel's state is asked for again, and how. Pure. */

import type { Phase } from './state';

/** The usual wait between two polls, in milliseconds. */
export const POLL_MS = 2_000;
/** While a viewer waits for the broadcast to begin, from one question to the next. */
const EAGER_POLL_MS = 1_000;
/** The longest wait after failures, in milliseconds. */
const FAILED_POLL_MS_MAX = 15_000;
/** A viewer who waits longer than this is polled more rarely and holds no place on the server, in milliseconds. */
const PATIENT_AFTER_MS = 30 * 60_000;
const PATIENT_POLL_MS = 10_000;
/** After a held question failed, so long none is held: the server may know none, or have no place. */
export const HOLD_AGAIN_MS = 30_000;

const isWaiting = (phase: Phase): boolean => phase === 'offline' || phase === 'ended';

/** Whether the server may hold the question until the channel is live. */
export function mayBeHeld(phase: Phase, waitedMs: number, failures: number): boolean {
  return isWaiting(phase) && failures === 0 && waitedMs < PATIENT_AFTER_MS;
}

/**
 * `waitedMs` is how long the phase has lasted; `failures` how many polls failed in a row; `tookMs` how long the last
 * question was under way: one that was held needs no wait after it.
 */
export function pollDelayMs(phase: Phase, waitedMs: number, failures: number, tookMs: number): number {
  if (failures > 0) return Math.min(POLL_MS * 2 ** (failures - 1), FAILED_POLL_MS_MAX);
  if (!isWaiting(phase)) return POLL_MS;
  return waitedMs >= PATIENT_AFTER_MS ? PATIENT_POLL_MS : Math.max(0, EAGER_POLL_MS - tookMs);
}
