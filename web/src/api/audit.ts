/** What was done: `/api/v1/audit`. */

import { dateAt, isRecord, textAt } from './http';
import { fetchPage, type Page } from './page';

export interface Entry {
  readonly id: number;
  readonly at: Date | null;
  readonly actorKind: string;
  readonly actor: string;
  readonly action: string;
  readonly objectKind: string;
  readonly objectId: string;
  readonly channel: string | null;
  readonly address: string | null;
  readonly details: Readonly<Record<string, unknown>>;
}

export interface AuditFilter {
  readonly actor: string;
  readonly action: string;
  readonly channel: string;
  /** Days of the reader's own calendar, such as 2026-11-22; empty is open. */
  readonly since: string;
  readonly until: string;
}

export function parseEntry(item: Record<string, unknown>): Entry | null {
  const { id } = item;
  if (typeof id !== 'number') return null;
  return {
    id,
    at: dateAt(item, 'at'),
    actorKind: textAt(item, 'actor_kind') ?? '',
    actor: textAt(item, 'actor_name') ?? textAt(item, 'actor') ?? '',
    action: textAt(item, 'action') ?? '',
    objectKind: textAt(item, 'object_kind') ?? '',
    objectId: textAt(item, 'object_id') ?? '',
    channel: textAt(item, 'channel'),
    address: textAt(item, 'address'),
    details: isRecord(item.details) ? item.details : {},
  };
}

/** The beginning of a day of the reader's calendar, as the API wants it; empty where it is no day. */
export function instantOf(day: string): string {
  const at = Date.parse(`${day}T00:00:00`);
  return /^\d{4}-\d{2}-\d{2}$/.test(day) && !Number.isNaN(at) ? new Date(at).toISOString() : '';
}

export function fetchAudit(filter: AuditFilter, cursor: string | null, signal: AbortSignal): Promise<Page<Entry>> {
  const query = { ...filter, since: instantOf(filter.since), until: instantOf(filter.until), cursor };
  return fetchPage('/api/v1/audit', query, 'entries', parseEntry, signal);
}

/** The details in one line. */
export function detailWords(details: Readonly<Record<string, unknown>>): string {
  return Object.entries(details)
    .map(([name, value]) => `${name}: ${typeof value === 'string' ? value : JSON.stringify(value)}`)
    .join(', ');
}
