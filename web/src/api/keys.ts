/** Stream keys of a channel, and the short tokens that the studio publishes with. */

import { dateAt, getJson, isRecord, sendJson, textAt } from './http';

/** A key without its secret. */
export interface KeyInfo {
  readonly id: string;
  readonly label: string;
  readonly createdAt: Date | null;
  readonly lastUsedAt: Date | null;
  /** Where it was replaced and is good for a while still: its end. */
  readonly expiresAt: Date | null;
  readonly isBackup: boolean;
}

/** A new key: the only time that its secret is told. */
export interface NewKey extends KeyInfo {
  readonly secret: string;
}

const at = (channel: string): string => `/api/v1/channels/${channel}`;

function parseKey(item: unknown): KeyInfo | null {
  if (!isRecord(item)) return null;
  const id = textAt(item, 'id');
  if (id === null || textAt(item, 'revoked_at') !== null) return null;
  return {
    id,
    label: textAt(item, 'label') ?? '',
    createdAt: dateAt(item, 'created_at'),
    lastUsedAt: dateAt(item, 'last_used_at'),
    expiresAt: dateAt(item, 'expires_at'),
    isBackup: item.role === 'backup',
  };
}

/** Reads `{keys}`: those that are valid, in the server's order. */
export function parseKeys(body: unknown): readonly KeyInfo[] {
  const keys = isRecord(body) ? body.keys : null;
  if (!Array.isArray(keys)) throw new TypeError('not a list of keys');
  return keys.flatMap((item: unknown) => parseKey(item) ?? []);
}

/** Reads a new key. */
export function parseNewKey(body: unknown): NewKey {
  const key = parseKey(body);
  const secret = isRecord(body) ? textAt(body, 'key') : null;
  if (key === null || secret === null) throw new TypeError('not a new key');
  return { ...key, secret };
}

/** The valid keys of `channel`. Rejects as `ask` does. */
export async function fetchKeys(channel: string, signal: AbortSignal): Promise<readonly KeyInfo[]> {
  return parseKeys(await getJson(`${at(channel)}/keys`, signal));
}

/** Makes a key. Rejects with `HttpError` 409 where the channel has too many. */
export async function makeKey(channel: string, label: string, signal: AbortSignal, role: 'primary' | 'backup' = 'primary'): Promise<NewKey> {
  return parseNewKey(await sendJson('POST', `${at(channel)}/keys`, { label, role }, signal));
}

/** Makes a key in the place of another one, which is good for `overlapS` seconds still. */
export async function rotateKey(channel: string, id: string, overlapS: number, signal: AbortSignal): Promise<NewKey> {
  return parseNewKey(await sendJson('POST', `${at(channel)}/keys/${encodeURIComponent(id)}/rotate`, { overlap_s: overlapS }, signal));
}

/** Makes a key worthless from now on. */
export async function revokeKey(channel: string, id: string, signal: AbortSignal): Promise<void> {
  await sendJson('DELETE', `${at(channel)}/keys/${encodeURIComponent(id)}`, undefined, signal);
}

/** A token that publishes to `channel` and is good for a minute. */
export async function makePublishToken(channel: string, signal: AbortSignal): Promise<string> {
  const body = await sendJson('POST', `${at(channel)}/publish-tokens`, undefined, signal);
  const token = isRecord(body) ? textAt(body, 'token') : null;
  if (token === null) throw new TypeError('not a publish token');
  return token;
}
