'use client';

import { useCallback, useEffect, useState } from 'react';

import { fetchKeys, revokeKey, type KeyInfo } from '@/api/keys';

export interface Keys {
  readonly status: 'loading' | 'ready' | 'failed';
  readonly items: readonly KeyInfo[];
  /** Fetches the list again. */
  readonly load: () => void;
  /** Revokes a key; rejects where that fails. */
  readonly revoke: (id: string) => Promise<void>;
}

/** The valid keys of a channel. */
export function useKeyList(channel: string): Keys {
  const [status, setStatus] = useState<Keys['status']>('loading');
  const [items, setItems] = useState<readonly KeyInfo[]>([]);
  const [turn, setTurn] = useState(0);

  useEffect(() => {
    const stop = new AbortController();
    fetchKeys(channel, stop.signal).then(
      (keys) => {
        setItems(keys);
        setStatus('ready');
      },
      () => {
        if (!stop.signal.aborted) setStatus('failed');
      },
    );
    return () => {
      stop.abort();
    };
  }, [channel, turn]);

  const load = useCallback(() => {
    setTurn((before) => before + 1);
  }, []);
  const revoke = useCallback(
    async (id: string) => {
      await revokeKey(channel, id, new AbortController().signal);
      load();
    },
    [channel, load],
  );
  return { status, items, load, revoke };
}
