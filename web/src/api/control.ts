/** What the control room shows of a channel: `/api/v1/channels/{name}`. */

import { parseSize, type Size } from './broadcasts';
import { dateAt, getJson, isRecord, textAt } from './http';

export interface OnAir {
  readonly broadcast: string;
  readonly state: 'live' | 'reconnecting';
  readonly startedAt: Date | null;
  readonly size: Size | null;
  /** The rest is told to who may inspect the channel. */
  readonly protocol: string | null;
  readonly credential: 'key' | 'studio' | null;
  readonly role: 'primary' | 'backup';
  readonly isDegraded: boolean | null;
}

export interface Control {
  readonly title: string;
  readonly onAir: OnAir | null;
  readonly lastEnd: { readonly at: Date | null; readonly reason: string | null } | null;
}

/** Reads it; throws `TypeError` on anything that is none. */
export function parseControl(body: unknown): Control {
  const name = isRecord(body) ? textAt(body, 'name') : null;
  if (!isRecord(body) || name === null) throw new TypeError('not a channel');
  const end = body.last_end;
  return {
    title: textAt(body, 'title') ?? name,
    onAir: parseOnAir(body.live),
    lastEnd: isRecord(end) ? { at: dateAt(end, 'at'), reason: textAt(end, 'reason') } : null,
  };
}

function parseOnAir(live: unknown): OnAir | null {
  const broadcast = isRecord(live) ? textAt(live, 'broadcast') : null;
  if (!isRecord(live) || broadcast === null) return null;
  return {
    broadcast,
    state: live.state === 'reconnecting' ? 'reconnecting' : 'live',
    startedAt: dateAt(live, 'started_at'),
    size: parseSize(live.source_size),
    protocol: textAt(live, 'protocol'),
    credential: live.credential === 'key' || live.credential === 'studio' ? live.credential : null,
    role: live.role === 'backup' ? 'backup' : 'primary',
    isDegraded: typeof live.degraded === 'boolean' ? live.degraded : null,
  };
}

export async function fetchControl(channel: string, signal: AbortSignal): Promise<Control> {
  return parseControl(await getJson(`/api/v1/channels/${channel}`, signal));
}
