/** Lists that come in pages. */

import { getJson, isRecord, textAt } from './http';

export interface Page<T> {
  readonly items: readonly T[];
  /** Where the next page begins, or null after the last. */
  readonly next: string | null;
}

/** Reads `{[name]: […], next}`; entries that `read` takes for none (null) are left out. */
export function parsePage<T>(body: unknown, name: string, read: (item: Record<string, unknown>) => T | null): Page<T> {
  const entries = isRecord(body) ? body[name] : null;
  if (!isRecord(body) || !Array.isArray(entries)) throw new TypeError(`not a page of ${name}`);
  const items = entries.flatMap((item: unknown) => {
    const one = isRecord(item) ? read(item) : null;
    return one === null ? [] : [one];
  });
  return { items, next: textAt(body, 'next') };
}

/** `path?name=value&…`, without what is empty. */
export function withQuery(path: string, query: Readonly<Record<string, string | null>>): string {
  const kept = Object.entries(query).flatMap(([name, value]) => (value === null || value === '' ? [] : [[name, value]]));
  const text = new URLSearchParams(kept).toString();
  return text === '' ? path : `${path}?${text}`;
}

/** Fetches one page. Rejects as `getJson` does. */
export async function fetchPage<T>(
  path: string,
  query: Readonly<Record<string, string | null>>,
  name: string,
  read: (item: Record<string, unknown>) => T | null,
  signal: AbortSignal,
): Promise<Page<T>> {
  return parsePage(await getJson(withQuery(path, query), signal), name, read);
}
