/** The list of channels from the control API. */

import { getJson, isRecord, textAt } from './http';

export interface Channel {
  readonly name: string;
  readonly title: string;
}

export interface ChannelPage {
  readonly items: readonly Channel[];
  /** Where the next page begins, or null after the last. */
  readonly nextCursor: string | null;
}

const NAME_LONGEST = 64;
const NAME = /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/;

/** A channel name as the server accepts it: a slug of at most 64 characters. */
export function isChannelName(text: string): boolean {
  return text.length <= NAME_LONGEST && NAME.test(text);
}

/** The channel in a path such as `/watch/demo`, or null where there is none. */
export function channelOfPath(path: string, folder: 'watch' | 'dashboard' = 'watch'): string | null {
  const [, place, name, rest = ''] = /^\/([^/]+)\/([^/]+)\/?(.*)$/.exec(path) ?? [];
  if (place !== folder || rest !== '') return null;
  return name !== undefined && isChannelName(name) ? name : null;
}

/**
 * Reads one page, `{channels, next}`; entries that are not channels are left out.
 */
export function parseChannelPage(body: unknown): ChannelPage {
  const entries = isRecord(body) ? body.channels : null;
  if (!isRecord(body) || !Array.isArray(entries)) throw new TypeError('not a page of channels');
  const items = entries.flatMap((item: unknown) => {
    if (!isRecord(item)) return [];
    const name = textAt(item, 'name');
    return name !== null && isChannelName(name) ? [{ name, title: textAt(item, 'title') ?? name }] : [];
  });
  return { items, nextCursor: textAt(body, 'next') };
}

/** Fetches the page that begins at `cursor` (null: the first). Rejects as `getJson` does. */
export async function fetchChannels(cursor: string | null, signal: AbortSignal): Promise<ChannelPage> {
  const query = cursor === null ? '' : `?cursor=${encodeURIComponent(cursor)}`;
  return parseChannelPage(await getJson(`/api/v1/channels${query}`, signal));
}

/** How a channel's last broadcast ended. */
export interface LastEnd {
  readonly broadcast: string;
  readonly reason: string;
}

/** What is on a channel. */
export interface Live {
  readonly broadcast: string;
  readonly reconnecting: boolean;
  /** The publisher's session that is on, or was last. */
  readonly session: string | null;
  /** That session stood by for another one. */
  readonly isBackup: boolean;
}

/** One channel, with what only people who signed in are told. */
export interface ChannelDetails extends Channel {
  readonly lastEnd: LastEnd | null;
  readonly live: Live | null;
}

/** Whether the broadcast goes on with another publisher than `session`; a backup gives it back. */
export function isTakenOver(live: Live, session: string | null): boolean {
  return !live.reconnecting && !live.isBackup && live.session !== null && session !== null && live.session !== session;
}

/** Reads one channel; throws `TypeError` on anything that is none. */
export function parseChannelDetails(body: unknown): ChannelDetails {
  const name = isRecord(body) ? textAt(body, 'name') : null;
  if (!isRecord(body) || name === null || !isChannelName(name)) throw new TypeError('not a channel');
  return { name, title: textAt(body, 'title') ?? name, lastEnd: parseLastEnd(body.last_end), live: parseLive(body.live) };
}

function parseLive(live: unknown): Live | null {
  if (!isRecord(live)) return null;
  const broadcast = textAt(live, 'broadcast');
  if (broadcast === null) return null;
  return { broadcast, reconnecting: live.state === 'reconnecting', session: textAt(live, 'session'), isBackup: live.role === 'backup' };
}

function parseLastEnd(end: unknown): LastEnd | null {
  if (!isRecord(end)) return null;
  const broadcast = textAt(end, 'broadcast');
  const reason = textAt(end, 'reason');
  return broadcast === null || reason === null ? null : { broadcast, reason };
}

/** Asks for one channel. Rejects as `getJson` does. */
export async function fetchChannel(name: string, signal: AbortSignal): Promise<ChannelDetails> {
  return parseChannelDetails(await getJson(`/api/v1/channels/${name}`, signal));
}
