'use client';

import { useCallback, useEffect, useRef, useState } from 'react';

import { fetchChannels, type Channel } from '@/api/channels';

export interface Channels {
  readonly status: 'loading' | 'ready' | 'failed';
  readonly items: readonly Channel[];
  readonly hasMore: boolean;
  /** Fetches the next page, or the first one again after a failure. */
  readonly load: () => void;
}

/** The list of channels, page by page. */
export function useChannels(): Channels {
  const [status, setStatus] = useState<Channels['status']>('loading');
  const [items, setItems] = useState<readonly Channel[]>([]);
  const [cursor, setCursor] = useState<string | null>(null);
  const running = useRef<AbortController | null>(null);

  const fetchPage = useCallback(async (from: string | null) => {
    running.current?.abort();
    const run = new AbortController();
    running.current = run;
    try {
      const page = await fetchChannels(from, run.signal);
      if (run.signal.aborted) return;
      setItems((before) => (from === null ? page.items : [...before, ...page.items]));
      setCursor(page.nextCursor);
      setStatus('ready');
    } catch {
      if (!run.signal.aborted) setStatus('failed');
    }
  }, []);

  useEffect(() => {
    void Promise.resolve().then(() => fetchPage(null));
    return () => running.current?.abort();
  }, [fetchPage]);

  const load = useCallback(() => {
    setStatus('loading');
    void fetchPage(cursor);
  }, [cursor, fetchPage]);

  return { status, items, hasMore: cursor !== null, load };
}
