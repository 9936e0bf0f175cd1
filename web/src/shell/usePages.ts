'use client';

import { useCallback, useEffect, useRef, useState } from 'react';

import { tellSignedOut } from '@/accounts/refusal';
import type { Page } from '@/api/page';

/** A list that comes in pages. */
export interface Pages<T> {
  readonly status: 'loading' | 'ready' | 'failed';
  readonly items: readonly T[];
  readonly hasMore: boolean;
  /** Fetches the next page, or tries again after a failure. */
  readonly more: () => void;
  /** Fetches the list anew, from its beginning. */
  readonly reload: () => void;
}

/** Fetches the first page at once, and anew when `fetchPage` is another one. It must be kept (`useCallback`). */
export function usePages<T>(fetchPage: (cursor: string | null, signal: AbortSignal) => Promise<Page<T>>): Pages<T> {
  const [status, setStatus] = useState<Pages<T>['status']>('loading');
  const [items, setItems] = useState<readonly T[]>([]);
  const [cursor, setCursor] = useState<string | null>(null);
  const running = useRef<AbortController | null>(null);

  const fetchFrom = useCallback(
    async (from: string | null) => {
      running.current?.abort();
      const run = new AbortController();
      running.current = run;
      try {
        const page = await fetchPage(from, run.signal);
        if (run.signal.aborted) return;
        setItems((before) => (from === null ? page.items : [...before, ...page.items]));
        setCursor(page.next);
        setStatus('ready');
      } catch (error) {
        if (run.signal.aborted) return;
        setStatus('failed');
        tellSignedOut(error);
      }
    },
    [fetchPage],
  );

  useEffect(() => {
    void Promise.resolve().then(() => fetchFrom(null));
    return () => running.current?.abort();
  }, [fetchFrom]);

  const more = useCallback(() => {
    setStatus('loading');
    void fetchFrom(cursor);
  }, [cursor, fetchFrom]);
  const reload = useCallback(() => {
    void fetchFrom(null);
  }, [fetchFrom]);
  return { status, items, hasMore: cursor !== null, more, reload };
}
