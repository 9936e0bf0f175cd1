/** The members of a channel. */

import { getJson, sendJson, textAt } from './http';
import { parsePage } from './page';

export const MEMBER_ROLES = ['owner', 'editor', 'moderator'] as const;

export interface Member {
  /** The handle. */
  readonly user: string;
  readonly displayName: string;
  readonly role: string;
}

const at = (channel: string): string => `/api/v1/channels/${channel}/members`;

export function parseMembers(body: unknown): readonly Member[] {
  return parsePage(body, 'members', (item): Member | null => {
    const user = textAt(item, 'user');
    return user === null ? null : { user, displayName: textAt(item, 'display_name') ?? user, role: textAt(item, 'role') ?? '' };
  }).items;
}

export async function fetchMembers(channel: string, signal: AbortSignal): Promise<readonly Member[]> {
  return parseMembers(await getJson(at(channel), signal));
}

/** Makes `user` a member, or gives another role. */
export async function setMember(channel: string, user: string, role: string, signal: AbortSignal): Promise<void> {
  await sendJson('PUT', `${at(channel)}/${encodeURIComponent(user)}`, { role }, signal);
}

export async function removeMember(channel: string, user: string, signal: AbortSignal): Promise<void> {
  await sendJson('DELETE', `${at(channel)}/${encodeURIComponent(user)}`, undefined, signal);
}
