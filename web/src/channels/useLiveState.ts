'use client';

import { useEffect, useState } from 'react';

import { HttpError } from '@/api/http';
import { fetchState } from '@/api/live';

/** How often a channel in the list is asked for its state, in milliseconds. */
const REFRESH_MS = 10_000;

export type LiveState = 'unknown' | 'live' | 'reconnecting' | 'notLive' | 'unreachable';

/** Whether `channel` is live now, kept fresh while the page is visible. */
export function useLiveState(channel: string): LiveState {
  const [state, setState] = useState<LiveState>('unknown');

  useEffect(() => {
    const stop = new AbortController();
    const refresh = async (): Promise<void> => {
      if (document.hidden) return;
      try {
        const said = await fetchState(channel, stop.signal);
        if (said.kind !== 'live') setState('notLive');
        else setState(said.reconnecting ? 'reconnecting' : 'live');
      } catch (error) {
        // What is refused so is there.
        const isForMembers = error instanceof HttpError && error.code === 'members_only';
        if (!stop.signal.aborted) setState(isForMembers ? 'live' : 'unreachable');
      }
    };
    const refreshNow = (): void => void refresh();
    refreshNow();
    const timer = window.setInterval(refreshNow, REFRESH_MS);
    document.addEventListener('visibilitychange', refreshNow);
    return () => {
      stop.abort();
      window.clearInterval(timer);
      document.removeEventListener('visibilitychange', refreshNow);
    };
  }, [channel]);

  return state;
}
