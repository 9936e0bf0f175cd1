/** Who uses this browser: a session that the server keeps behind a cookie no script can read. */

import { getJson, HttpError, isRecord, sendJson, textAt } from './http';

const SESSION = '/api/v1/session';

export interface Account {
  readonly name: string;
  readonly role: string;
}

function parseAccount(body: unknown): Account {
  if (!isRecord(body)) throw new TypeError('not an account');
  return { name: textAt(body, 'name') ?? '', role: textAt(body, 'role') ?? '' };
}

/** The account of this browser's session, or null where there is none. Rejects as `ask` does. */
export async function fetchAccount(signal: AbortSignal): Promise<Account | null> {
  try {
    return parseAccount(await getJson(SESSION, signal));
  } catch (error) {
    if (error instanceof HttpError && error.status === 401) return null;
    throw error;
  }
}

/** Begins a session. Rejects with `HttpError` 401 if the token is not known, 429 after too many tries. */
export async function signIn(token: string, signal: AbortSignal): Promise<Account> {
  await sendJson('POST', SESSION, { token }, signal);
  return parseAccount(await getJson(SESSION, signal));
}

/** Ends the session. */
export async function signOut(signal: AbortSignal): Promise<void> {
  await sendJson('DELETE', SESSION, undefined, signal);
}
