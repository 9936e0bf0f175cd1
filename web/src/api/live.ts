/** What the origin says about a channel: `/live/{channel}/state.json`. */

import { dateAt, getJson, HttpError, isRecord, textAt } from './http';

/** What is kept of a broadcast for rewinding. */
export interface Dvr {
  /** The multivariant playlist of what is kept. */
  readonly src: string;
  /** How much is kept at most, in seconds. */
  readonly seconds: number;
}

/** A broadcast that can be played now. */
export interface Broadcast {
  readonly id: string;
  /** The multivariant playlist. */
  readonly src: string;
}

/** The channel as the origin sees it. */
export type ChannelState =
  | {
      readonly kind: 'live';
      readonly broadcast: Broadcast;
      readonly title: string | null;
      readonly startedAt: Date | null;
      /** The streamer lost the connection; the broadcast goes on meanwhile. */
      readonly reconnecting: boolean;
      /** null where nothing is kept. */
      readonly dvr: Dvr | null;
    }
  /** What there is, is told to members alone. */
  | { readonly kind: 'members'; readonly title: null }
  | { readonly kind: 'ended' | 'offline'; readonly title: string | null };

/** `base` stands before the path where a token is needed. */
export function stateUrl(channel: string, base = ''): string {
  return `${base}/live/${channel}/state.json`;
}

/** The same, which the server holds until the channel is live. */
function awaitedUrl(channel: string, base: string): string {
  return `${base}/live/${channel}/awaited.json`;
}

/** How long a held answer may take, in milliseconds: the server holds it for 20 s. */
const HELD_MS = 30_000;

/**
 * The newest small picture of a live channel. `version` says nothing to the server: it makes the browser ask again, and
 * all who ask at a time should send the same one, so that a cache in between holds one entry.
 */
export function thumbnailUrl(channel: string, version: number): string {
  return `/live/${channel}/thumbnail.jpg?t=${version}`;
}

/** The multivariant playlist; `said` may be a path, which is everybody's, or relative to the state's own URL. */
function playlistUrl(channel: string, said: string | null, base: string): string {
  if (said?.startsWith('/live/') === true) return `${base}${said}`;
  const isAbsolute = said !== null && /^(\/|https?:)/.test(said);
  return isAbsolute ? said : `${base}/live/${channel}/${said ?? 'index.m3u8'}`;
}

/** What a state says of rewinding. */
function dvrOf(said: unknown, channel: string, base: string): Dvr | null {
  if (!isRecord(said) || typeof said.seconds !== 'number' || !(said.seconds > 0)) return null;
  return { src: playlistUrl(channel, textAt(said, 'playlist') ?? 'dvr.m3u8', base), seconds: said.seconds };
}

/** Reads a state; throws `TypeError` on anything that is none. */
export function parseState(body: unknown, channel: string, base = ''): ChannelState {
  if (!isRecord(body)) throw new TypeError('not a channel state');
  const title = textAt(body, 'title');
  switch (body.state) {
    case 'live': {
      const src = playlistUrl(channel, textAt(body, 'playlist'), base);
      const broadcast = { id: textAt(body, 'broadcast') ?? src, src };
      return { kind: 'live', broadcast, title, startedAt: dateAt(body, 'started_at'), reconnecting: body.reconnecting === true, dvr: dvrOf(body.dvr, channel, base) };
    }
    case 'members':
      return { kind: 'members', title: null };
    case 'ended':
    case 'offline':
      return { kind: body.state, title };
    default:
      throw new TypeError('unknown channel state');
  }
}

/**
 * Asks for the state of `channel`. A channel that the origin does not know (404) is offline: the
 * origin knows only channels that were live. Rejects as `getJson` does.
 */
export async function fetchState(channel: string, signal: AbortSignal, base = ''): Promise<ChannelState> {
  try {
    return parseState(await getJson(stateUrl(channel, base), signal), channel, base);
  } catch (error) {
    if (error instanceof HttpError && error.status === 404) return { kind: 'offline', title: null };
    throw error;
  }
}

/** The same once the channel is live, or after a while as it is then. Rejects as `getJson` does. */
export async function fetchAwaitedState(channel: string, signal: AbortSignal, base = ''): Promise<ChannelState> {
  return parseState(await getJson(awaitedUrl(channel, base), signal, HELD_MS), channel, base);
}
