/** Broadcasts that run or ran: `/api/v1/broadcasts`. */

import { dateAt, isRecord, sendJson, textAt } from './http';
import { fetchPage, type Page } from './page';

export interface Size {
  readonly width: number;
  readonly height: number;
}

export interface Run {
  readonly id: string;
  readonly channel: string;
  readonly state: 'live' | 'reconnecting' | 'ended' | 'lost';
  readonly startedAt: Date | null;
  readonly endedAt: Date | null;
  /** Told to who may inspect the channel. */
  readonly endReason: string | null;
}

const STATES = ['live', 'reconnecting', 'ended', 'lost'] as const;

export function parseRun(item: Record<string, unknown>): Run | null {
  const id = textAt(item, 'id');
  const channel = textAt(item, 'channel');
  const state = STATES.find((one) => one === item.state);
  if (id === null || channel === null || state === undefined) return null;
  return { id, channel, state, startedAt: dateAt(item, 'started_at'), endedAt: dateAt(item, 'ended_at'), endReason: textAt(item, 'end_reason') };
}

/** The runs of one channel, or of all (null), newest first. */
export function fetchRuns(channel: string | null, cursor: string | null, signal: AbortSignal, limit = 20): Promise<Page<Run>> {
  return fetchPage('/api/v1/broadcasts', { channel, limit: String(limit), cursor }, 'broadcasts', parseRun, signal);
}

/** Ends a running one; its node does it within seconds. */
export async function endBroadcast(id: string, signal: AbortSignal): Promise<void> {
  await sendJson('POST', `/api/v1/broadcasts/${encodeURIComponent(id)}/end`, undefined, signal);
}

/** The size of a picture, where it is known. */
export function parseSize(value: unknown): Size | null {
  if (!isRecord(value) || typeof value.width !== 'number' || typeof value.height !== 'number') return null;
  return { width: value.width, height: value.height };
}
