/** The WHIP client's requests (RFC 9725 4.2), and what their refusals mean. */

import { ask, HttpError } from '@/api/http';

import { trouble, type Trouble } from './publish';

/** A server may take this long for an answer, in milliseconds. */
const ANSWER_MS_MAX = 10_000;

export const WHIP_PATH = '/whip';

/** An offer that the server took. */
export interface Answered {
  readonly sdp: string;
  /** Where the session is ended. */
  readonly session: string;
}

/** Offers. Rejects as `ask` does, and with `TypeError` on an answer that is none. */
export function offer(sdp: string, token: string, signal: AbortSignal): Promise<Answered> {
  const headers = { 'content-type': 'application/sdp', authorization: `Bearer ${token}` };
  return ask(WHIP_PATH, { method: 'POST', headers, body: sdp, timeoutMs: ANSWER_MS_MAX }, signal, async (response) => {
    const location = response.headers.get('location');
    if (location === null) throw new TypeError('the answer names no session');
    return { sdp: await response.text(), session: new URL(location, response.url).href };
  });
}

/** Says goodbye, also from a page that is being left. A server that does not hear it notices the silence. */
export function goodbye(session: string, token: string): void {
  const headers = { authorization: `Bearer ${token}` };
  fetch(session, { method: 'DELETE', headers, keepalive: true }).catch(() => undefined);
}

/** Which request failed: that for a publish token, or the offer. */
export type Asked = 'token' | 'offer';

/** What an error of a request means to a streamer. */
export function troubleOf(error: unknown, asked: Asked): Trouble {
  if (!(error instanceof HttpError)) return trouble('network');
  const { status, title } = error;
  const waitMs = (error.retryAfterS ?? 0) * 1_000;
  switch (status) {
    case 401:
      return trouble(asked === 'token' ? 'signedOut' : 'tokenExpired', title);
    case 403:
      return trouble('forbidden', title);
    case 404:
      return asked === 'token' ? trouble('channelGone', title) : trouble('network', title);
    case 409:
      // For a token: there are too many of them, for a minute at most.
      return asked === 'token' ? trouble('tooMany', title, waitMs) : trouble('conflict', title);
    case 429:
      return trouble('tooMany', title, waitMs);
    case 503:
      return trouble('serverBusy', title, waitMs);
    case 400:
    case 406:
    case 413:
    case 415:
    case 422:
      return trouble('unacceptable', title);
    default:
      return trouble('network', title, waitMs);
  }
}
