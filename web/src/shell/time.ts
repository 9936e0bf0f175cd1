/** Instants and lengths of time in the words of the reader's language. */

import { strings } from '@/strings';
import { accounts } from '@/strings/accounts';

/** Day and time of day; `missing` where there is none. */
export function dateTime(date: Date | null, missing: string = accounts.none): string {
  return date === null ? missing : date.toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'short' });
}

/** How long, in words. */
export function lengthOf(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1_000));
  return strings.player.duration(Math.floor(seconds / 3_600), Math.floor(seconds / 60) % 60, seconds % 60);
}
