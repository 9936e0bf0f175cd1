/** Users, for who keeps them: `/api/v1/users`. */

import { dateAt, sendJson, textAt } from './http';
import { fetchPage, type Page } from './page';

const USERS = '/api/v1/users';
export const ROLES = ['admin', 'creator', 'moderator', 'viewer'] as const;

export interface User {
  readonly name: string;
  readonly displayName: string;
  readonly email: string | null;
  readonly role: string;
  readonly isSuspended: boolean;
  readonly lastSeenAt: Date | null;
}

export interface UserFilter {
  /** How the handle begins. */
  readonly name: string;
  readonly role: string;
  readonly state: string;
}

export function parseUser(item: Record<string, unknown>): User | null {
  const name = textAt(item, 'name');
  if (name === null) return null;
  return {
    name,
    displayName: textAt(item, 'display_name') ?? name,
    email: textAt(item, 'email'),
    role: textAt(item, 'role') ?? '',
    isSuspended: item.state === 'suspended',
    lastSeenAt: dateAt(item, 'last_seen_at'),
  };
}

export function fetchUsers(filter: UserFilter, cursor: string | null, signal: AbortSignal): Promise<Page<User>> {
  return fetchPage(USERS, { ...filter, cursor }, 'users', parseUser, signal);
}

const at = (name: string): string => `${USERS}/${encodeURIComponent(name)}`;

/** Changes role or state. */
export async function changeUser(name: string, change: { readonly role?: string; readonly state?: string }, signal: AbortSignal): Promise<void> {
  await sendJson('PATCH', at(name), change, signal);
}

export async function deleteUser(name: string, signal: AbortSignal): Promise<void> {
  await sendJson('DELETE', at(name), undefined, signal);
}

/** Makes a user; an empty `email` is none. */
export async function makeUser(name: string, email: string, role: string, signal: AbortSignal): Promise<void> {
  await sendJson('POST', USERS, email === '' ? { name, role } : { name, email, role }, signal);
}
