/** API tokens: one's own, and everybody's. */

import { dateAt, isRecord, sendJson, textAt } from './http';
import { fetchPage, type Page } from './page';

const OWN = '/api/v1/me/tokens';
const ALL = '/api/v1/api-tokens';
const DAY_MS = 86_400_000;

export interface Token {
  readonly id: string;
  readonly name: string;
  /** The handle of whose it is; null of nobody's. */
  readonly user: string | null;
  /** Of a token of nobody's that has no scopes: `admin` or `read`. */
  readonly role: string;
  /** null: all that its user may. */
  readonly scopes: readonly string[] | null;
  readonly createdAt: Date | null;
  readonly expiresAt: Date | null;
  readonly lastUsedAt: Date | null;
  readonly isRevoked: boolean;
}

export function parseToken(item: Record<string, unknown>): Token | null {
  const id = textAt(item, 'id');
  if (id === null) return null;
  return {
    id,
    name: textAt(item, 'name') ?? '',
    user: textAt(item, 'user'),
    role: textAt(item, 'role') ?? '',
    scopes: Array.isArray(item.scopes) ? item.scopes.filter((scope) => typeof scope === 'string') : null,
    createdAt: dateAt(item, 'created_at'),
    expiresAt: dateAt(item, 'expires_at'),
    lastUsedAt: dateAt(item, 'last_used_at'),
    isRevoked: textAt(item, 'revoked_at') !== null,
  };
}

export function fetchTokens(whose: 'own' | 'all', cursor: string | null, signal: AbortSignal): Promise<Page<Token>> {
  return fetchPage(whose === 'own' ? OWN : ALL, { cursor }, 'tokens', parseToken, signal);
}

/** What a new token is to be. */
export interface TokenWish {
  readonly name: string;
  /** null: all that its user may. */
  readonly scopes: readonly string[] | null;
  /** How long it is good, in days; 0 is for ever. */
  readonly days: number;
}

/** The body that asks for it, at `nowMs` since 1970. */
export function tokenBody({ name, scopes, days }: TokenWish, nowMs: number): Record<string, unknown> {
  return {
    name,
    ...(scopes === null ? {} : { scopes }),
    ...(days === 0 ? {} : { expires_at: new Date(nowMs + days * DAY_MS).toISOString() }),
  };
}

/** Makes a token; its secret, which is told this once. */
export async function makeToken(wish: TokenWish, signal: AbortSignal): Promise<string> {
  const body = await sendJson('POST', OWN, tokenBody(wish, Date.now()), signal);
  const secret = isRecord(body) ? textAt(body, 'token') : null;
  if (secret === null) throw new TypeError('not a token');
  return secret;
}

export async function revokeToken(whose: 'own' | 'all', id: string, signal: AbortSignal): Promise<void> {
  await sendJson('DELETE', `${whose === 'own' ? OWN : ALL}/${encodeURIComponent(id)}`, undefined, signal);
}
