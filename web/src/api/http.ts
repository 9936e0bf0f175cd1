/** One bounded request to this origin. */

/** The longest wait for an answer, in milliseconds. */
export const TIMEOUT_MS = 8_000;

/** The longest text of a server that is shown to people, in characters. */
const TITLE_LONGEST = 300;

/** An answer outside 2xx. */
export class HttpError extends Error {
  constructor(
    readonly status: number,
    /** The stable word of a problem body (RFC 9457), where there is one. */
    readonly code: string | null = null,
    /** The server's sentence for people, where there is one. */
    readonly title: string | null = null,
    /** How long the server asks to wait, in seconds. */
    readonly retryAfterS: number | null = null,
  ) {
    super(`HTTP ${status}`);
  }
}

/** What is asked, besides the address. */
export interface Ask {
  readonly method?: string;
  readonly headers?: Record<string, string>;
  readonly body?: string | Blob;
  /** The longest wait for the whole answer, in milliseconds. */
  readonly timeoutMs?: number;
}

/**
 * Asks, and reads a good answer with `read`.
 *
 * Rejects with `HttpError` on a status outside 2xx, else with what `fetch` or `read` threw; also after
 * the timeout and when `signal` aborts.
 */
export async function ask<T>(url: string, what: Ask, signal: AbortSignal, read: (response: Response) => Promise<T>): Promise<T> {
  const { timeoutMs = TIMEOUT_MS, ...init } = what;
  const stop = new AbortController();
  const abort = (): void => {
    stop.abort();
  };
  const deadline = setTimeout(abort, timeoutMs);
  signal.addEventListener('abort', abort);
  try {
    signal.throwIfAborted();
    const response = await fetch(url, { ...init, signal: stop.signal });
    if (!response.ok) throw await httpError(response);
    return await read(response);
  } finally {
    clearTimeout(deadline);
    signal.removeEventListener('abort', abort);
  }
}

/** Fetches and parses JSON. Rejects as `ask` does. */
export function getJson(url: string, signal: AbortSignal, timeoutMs = TIMEOUT_MS): Promise<unknown> {
  return ask(url, { headers: { accept: 'application/json' }, timeoutMs }, signal, (response) => response.json());
}

/** Sends `body` as JSON, if there is one; the parsed answer, or null where it has no body. Rejects as `ask` does. */
export function sendJson(method: string, url: string, body: unknown, signal: AbortSignal): Promise<unknown> {
  const accept = { accept: 'application/json' };
  const what =
    body === undefined
      ? { method, headers: accept }
      : { method, headers: { ...accept, 'content-type': 'application/json' }, body: JSON.stringify(body) };
  return ask(url, what, signal, async (response) => {
    const text = await response.text();
    return text === '' ? null : (JSON.parse(text) as unknown);
  });
}

/** What a refusal says of itself; a body that is no problem document says nothing. */
async function httpError(response: Response): Promise<HttpError> {
  const retryAfterS = seconds(response.headers.get('retry-after'));
  const body: unknown = await response.json().catch(() => null);
  if (!isRecord(body)) return new HttpError(response.status, null, null, retryAfterS);
  const title = textAt(body, 'title')?.slice(0, TITLE_LONGEST) ?? null;
  return new HttpError(response.status, textAt(body, 'code'), title, retryAfterS);
}

function seconds(header: string | null): number | null {
  const value = header === null ? NaN : Number(header);
  return Number.isFinite(value) && value >= 0 ? value : null;
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

/** The instant under `key` (RFC 3339), or null where there is none. */
export function dateAt(record: Record<string, unknown>, key: string): Date | null {
  const at = Date.parse(textAt(record, key) ?? '');
  return Number.isNaN(at) ? null : new Date(at);
}
