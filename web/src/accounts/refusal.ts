/** What a refusal of the API means, in words, and whether it ends the sign-in. */

import { HttpError } from '@/api/http';
import { accounts } from '@/strings/accounts';

const words = accounts.refusal;
const codes: Readonly<Record<string, string>> = words.codes;
/** Where a server does not say how long to wait, in seconds. */
const WAIT_S = 30;
const MINUTE_S = 60;
/** The event that tells the page that its sign-in is over. */
export const SIGNED_OUT = 'headwater:signed-out';

/** Codes of 401 that say that somebody is not signed in, rather than that a proof was wrong. */
const OVER = new Set(['session_expired', 'token_missing']);

/** Whether the error says that nobody, or somebody who is shut out, is signed in. */
export function isSignedOut(error: unknown): boolean {
  return error instanceof HttpError && error.code !== null && (OVER.has(error.code) || error.code === 'user_suspended');
}

/** Lets the page know where an error ended the sign-in. */
export function tellSignedOut(error: unknown): void {
  if (isSignedOut(error)) window.dispatchEvent(new Event(SIGNED_OUT));
}

/** How long to wait, in words. */
export function waitWords(seconds: number): string {
  const whole = Math.max(1, Math.ceil(seconds));
  return whole <= 2 * MINUTE_S ? words.seconds(whole) : words.minutes(Math.ceil(whole / MINUTE_S));
}

/** The sentence for people. */
export function refusalWords(error: unknown): string {
  if (!(error instanceof HttpError)) return words.unreachable;
  if (error.status === 429) return words.tooMany(waitWords(error.retryAfterS ?? WAIT_S));
  const known = error.code === null ? undefined : codes[error.code];
  if (known !== undefined) return known;
  if (error.status >= 500) return words.unavailable;
  return error.title === null ? words.failed : words.said(error.title);
}
