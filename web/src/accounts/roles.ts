/** Roles in words. */

import { accounts } from '@/strings/accounts';

const names: Readonly<Record<string, string>> = accounts.account.roles;

/** The name of a role; a role that is not known is its own. */
export function roleWords(role: string): string {
  return names[role] ?? role;
}
