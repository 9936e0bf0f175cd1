/** Playback: what a viewer may play, told and renewed by the control API. */

import { isRecord, sendJson, textAt } from './http';

/** What a viewer plays by. */
export interface Playback {
  /** The viewer session's id. */
  readonly id: string;
  readonly token: string;
  /** What stands before `/live/…`: nothing, or `/t/` and the token. */
  readonly base: string;
  readonly heartbeatMs: number;
}

/** What a heartbeat brought. */
export interface Beat {
  readonly state: 'watching' | 'put_out' | 'not_allowed';
  /** A new token, when one was due. */
  readonly token: string | null;
}

const HEARTBEAT_MS_MIN = 1_000;

export function parsePlayback(body: unknown): Playback {
  if (!isRecord(body)) throw new TypeError('not a playback');
  const [id, token, seconds] = [textAt(body, 'viewer_session'), textAt(body, 'token'), body.heartbeat_s];
  if (id === null || token === null || typeof seconds !== 'number') throw new TypeError('not a playback');
  return { id, token, base: textAt(body, 'base') ?? '', heartbeatMs: Math.max(HEARTBEAT_MS_MIN, seconds * 1_000) };
}

/** Asks to watch `channel`; `renews` tells whether this player can take new tokens. Rejects as `ask` does. */
export async function startPlayback(channel: string, renews: boolean, signal: AbortSignal): Promise<Playback> {
  const body = { player: renews ? 'renewing' : 'simple' };
  return parsePlayback(await sendJson('POST', `/api/v1/playback/${channel}`, body, signal));
}

export function parseBeat(body: unknown): Beat {
  const state = isRecord(body) ? body.state : null;
  if (!isRecord(body) || (state !== 'watching' && state !== 'put_out' && state !== 'not_allowed')) {
    throw new TypeError('not a heartbeat');
  }
  return { state, token: textAt(body, 'token') };
}

/** Tells that the viewer is there. Rejects as `ask` does. */
export async function sendHeartbeat({ id, token }: Playback, signal: AbortSignal): Promise<Beat> {
  return parseBeat(await sendJson('POST', `/api/v1/viewer-sessions/${id}/heartbeat`, { token }, signal));
}

/** Tells that the viewer is gone, also while the page goes. Nobody waits for the answer. */
export function sendLeave({ id }: Playback): void {
  navigator.sendBeacon(`/api/v1/viewer-sessions/${id}/leave`);
}
