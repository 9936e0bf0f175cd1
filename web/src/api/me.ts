/** Who is signed in, and what they may: `/api/v1/me`. */

import { isChannelName } from './channels';
import { dateAt, getJson, isRecord, sendJson, textAt } from './http';

const ME = '/api/v1/me';

export interface Membership {
  readonly channel: string;
  readonly role: string;
}

export interface Me {
  /** `token`: an API token that belongs to no user. */
  readonly kind: 'user' | 'token';
  readonly name: string;
  readonly role: string;
  readonly displayName: string;
  readonly email: string | null;
  readonly permissions: readonly string[];
  readonly signedInAt: Date | null;
  readonly channels: readonly Membership[];
}

/** Reads it; throws `TypeError` on anything that is none. */
export function parseMe(body: unknown): Me {
  const name = isRecord(body) ? textAt(body, 'name') : null;
  if (!isRecord(body) || name === null) throw new TypeError('nobody');
  const user = isRecord(body.user) ? body.user : {};
  return {
    kind: body.kind === 'user' ? 'user' : 'token',
    name,
    role: textAt(body, 'role') ?? '',
    displayName: textAt(user, 'display_name') ?? name,
    email: textAt(user, 'email'),
    permissions: Array.isArray(body.permissions) ? body.permissions.filter((one) => typeof one === 'string') : [],
    signedInAt: dateAt(body, 'signed_in_at'),
    channels: Array.isArray(body.channels) ? body.channels.flatMap(parseMembership) : [],
  };
}

function parseMembership(item: unknown): Membership[] {
  const channel = isRecord(item) ? textAt(item, 'channel') : null;
  const role = isRecord(item) ? textAt(item, 'role') : null;
  return channel !== null && isChannelName(channel) && role !== null ? [{ channel, role }] : [];
}

/** Rejects with `HttpError` 401 where nobody is signed in, 403 where they are suspended. */
export async function fetchMe(signal: AbortSignal): Promise<Me> {
  return parseMe(await getJson(ME, signal));
}

export async function rename(displayName: string, signal: AbortSignal): Promise<void> {
  await sendJson('PATCH', ME, { display_name: displayName }, signal);
}

/** Whether they may do it everywhere. */
export function may(me: Me, permission: string): boolean {
  return me.permissions.includes(permission);
}

const CREW = ['owner', 'editor'];

/** What they may on one channel, to show what makes sense; the API decides. */
export interface Rights {
  /** Change settings and slate, make keys, publish. */
  readonly isCrew: boolean;
  /** Change members, delete. */
  readonly isOwner: boolean;
  /** End broadcasts, see members. */
  readonly keepsOrder: boolean;
}

export function rightsOn(me: Me, channel: string): Rights {
  const role = me.channels.find((one) => one.channel === channel)?.role ?? null;
  return {
    isCrew: may(me, 'channel.update') || (role !== null && CREW.includes(role)),
    isOwner: may(me, 'channel.delete') || role === 'owner',
    keepsOrder: may(me, 'broadcast.end') || role !== null,
  };
}
