/** Proving who one is: `/api/v1/auth`. */

import { getJson, isRecord, sendJson, textAt } from './http';

const AUTH = '/api/v1/auth';

/** How to sign in here. */
export interface Ways {
  readonly mode: 'local' | 'oidc' | 'clerk';
  readonly isSignUpOpen: boolean;
}

export function parseWays(body: unknown): Ways {
  const mode = isRecord(body) ? body.mode : null;
  if (!isRecord(body) || (mode !== 'local' && mode !== 'oidc' && mode !== 'clerk')) throw new TypeError('not ways to sign in');
  return { mode, isSignUpOpen: body.sign_up === 'open' };
}

export async function fetchWays(signal: AbortSignal): Promise<Ways> {
  return parseWays(await getJson(AUTH, signal));
}

/** Where an OpenID provider is asked; it leads back to `returnTo`. */
export function providerAddress(returnTo: string): string {
  return `${AUTH}/oidc/start?return_to=${encodeURIComponent(returnTo)}`;
}

/** What somebody proves themself by. */
export interface Credentials {
  readonly email: string;
  readonly password: string;
  /** Of the second factor, or a recovery code; null before it is asked for. */
  readonly code: string | null;
}

/** Signs this browser in. Rejects with `HttpError` 401 `code_needed` where the second factor is asked for. */
export async function signInByPassword({ email, password, code }: Credentials, signal: AbortSignal): Promise<void> {
  await sendJson('POST', `${AUTH}/session`, code === null ? { email, password } : { email, password, code }, signal);
}

/** Asks for the mail with the link that makes an account. */
export async function askSignUp(email: string, signal: AbortSignal): Promise<void> {
  await sendJson('POST', `${AUTH}/sign-up`, { email }, signal);
}

/** Makes the account. `name` may be empty. */
export async function confirmSignUp(token: string, password: string, name: string, signal: AbortSignal): Promise<void> {
  await sendJson('POST', `${AUTH}/sign-up/confirm`, name === '' ? { token, password } : { token, password, display_name: name }, signal);
}

/** Asks for the mail with the link that sets a new password. */
export async function askReset(email: string, signal: AbortSignal): Promise<void> {
  await sendJson('POST', `${AUTH}/password-reset`, { email }, signal);
}

/** Sets the new password; every sign-in ends. */
export async function confirmReset(token: string, password: string, signal: AbortSignal): Promise<void> {
  await sendJson('POST', `${AUTH}/password-reset/confirm`, { token, password }, signal);
}

/** Changes the password; every other sign-in ends. */
export async function changePassword(current: string, password: string, signal: AbortSignal): Promise<void> {
  await sendJson('PUT', `${AUTH}/password`, { current_password: current, password }, signal);
}

/** The secret of a second factor that does not count yet. */
export interface FactorSecret {
  readonly secret: string;
  /** The same as `otpauth:` address. */
  readonly uri: string;
}

export async function beginFactor(password: string, signal: AbortSignal): Promise<FactorSecret> {
  const body = await sendJson('POST', `${AUTH}/second-factor`, { password }, signal);
  const secret = isRecord(body) ? textAt(body, 'secret') : null;
  const uri = isRecord(body) ? textAt(body, 'uri') : null;
  if (secret === null || uri === null) throw new TypeError('not a second factor');
  return { secret, uri };
}

/** Turns the second factor on; the recovery codes, which are told this once. */
export async function confirmFactor(code: string, signal: AbortSignal): Promise<readonly string[]> {
  const body = await sendJson('POST', `${AUTH}/second-factor/confirm`, { code }, signal);
  const codes = isRecord(body) ? body.recovery_codes : null;
  if (!Array.isArray(codes)) throw new TypeError('no recovery codes');
  return codes.filter((code) => typeof code === 'string');
}

export async function removeFactor(password: string, code: string, signal: AbortSignal): Promise<void> {
  await sendJson('POST', `${AUTH}/second-factor/remove`, { password, code }, signal);
}
