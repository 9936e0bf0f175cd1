/** The pages behind a sign-in. */

import { may, type Me } from '@/api/me';

export type Place = 'dashboard' | 'admin' | 'account';

/** The permissions that give something to do in the administration. */
const OF_ADMIN = ['user.read', 'audit.read', 'token.all', 'broadcast.end'];

/** Whether the administration makes sense to them. */
export function isOfAdmin(me: Me): boolean {
  return OF_ADMIN.some((permission) => may(me, permission));
}

/** The pages that make sense to them. */
export function placesOf(me: Me): readonly Place[] {
  return isOfAdmin(me) ? ['dashboard', 'admin', 'account'] : ['dashboard', 'account'];
}
