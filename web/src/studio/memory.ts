/**
 * What outlives a reload of the page: choices, and whether it was live. Kept in this tab alone.
 *
 * Holds no secret: neither token nor key ever gets here.
 */

import { isChannelName } from '@/api/channels';
import { isRecord } from '@/api/http';

import { firstSettings, parseSettings, type Settings } from './settings';

const NAME = 'headwater.studio';
const VERSION = 1;
/** A broadcast that was left longer ago is not begun again by itself, in milliseconds. */
export const RESUME_MS_MAX = 120_000;

/** Where it is kept: `sessionStorage`, which a browser may refuse. */
export type Store = Pick<Storage, 'getItem' | 'setItem'>;

export interface Memory {
  readonly channel: string | null;
  readonly settings: Settings;
  /** Since when the streamer has been live, in milliseconds since 1970; null if not. */
  readonly liveSinceMs: number | null;
  /** When this was kept. */
  readonly keptAtMs: number;
}

const nothing: Memory = { channel: null, settings: firstSettings, liveSinceMs: null, keptAtMs: 0 };

/** What was kept, or what a first visit begins with. */
export function recall(store: Store): Memory {
  try {
    return parse(JSON.parse(store.getItem(NAME) ?? 'null'));
  } catch {
    return nothing;
  }
}

/** Keeps it. A browser that keeps nothing only loses comfort. */
export function remember(store: Store, memory: Memory): void {
  try {
    store.setItem(NAME, JSON.stringify({ version: VERSION, ...memory }));
  } catch {
    // Private windows and full disks: the page works on.
  }
}

/** Was the page left in the middle of a broadcast, and not long ago? */
export function shouldResume({ liveSinceMs, keptAtMs, channel }: Memory, nowMs: number): boolean {
  const awayMs = nowMs - keptAtMs;
  return liveSinceMs !== null && channel !== null && awayMs >= 0 && awayMs <= RESUME_MS_MAX;
}

function parse(kept: unknown): Memory {
  if (!isRecord(kept) || kept.version !== VERSION) return nothing;
  const { channel, liveSinceMs, keptAtMs } = kept;
  return {
    channel: typeof channel === 'string' && isChannelName(channel) ? channel : null,
    settings: parseSettings(kept.settings),
    liveSinceMs: typeof liveSinceMs === 'number' ? liveSinceMs : null,
    keptAtMs: typeof keptAtMs === 'number' ? keptAtMs : 0,
  };
}
