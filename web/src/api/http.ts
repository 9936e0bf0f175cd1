/** One bounded GET of JSON from this origin. */

/** The longest wait for an answer, in milliseconds. */
export const TIMEOUT_MS = 8_000;

/** An answer outside 2xx. */
export class HttpError extends Error {
  constructor(readonly status: number) {
    super(`HTTP ${status}`);
  }
}

/**
 * Fetches and parses JSON.
 *
 * Rejects with `HttpError` on a status outside 2xx, else with what `fetch` or the parser threw; also
 * after `TIMEOUT_MS` and when `signal` aborts.
 */
export async function getJson(url: string, signal: AbortSignal): Promise<unknown> {
  const stop = new AbortController();
  const abort = (): void => {
    stop.abort();
  };
  const deadline = setTimeout(abort, TIMEOUT_MS);
  signal.addEventListener('abort', abort);
  try {
    const response = await fetch(url, { signal: stop.signal, headers: { accept: 'application/json' } });
    if (!response.ok) throw new HttpError(response.status);
    return await response.json();
  } finally {
    clearTimeout(deadline);
    signal.removeEventListener('abort', abort);
  }
}

/** Is this a plain JSON object? */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The text under `key`, or null where there is none. */
export function textAt(record: Record<string, unknown>, key: string): string | null {
  const value = record[key];
  return typeof value === 'string' && value !== '' ? value : null;
}
