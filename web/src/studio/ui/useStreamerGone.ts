'use client';

import { useEffect, useState } from 'react';

import { fetchChannel } from '@/api/channels';

/** How often the channel is asked for, in milliseconds. */
const REFRESH_MS = 5_000;

/** Whether a broadcast on `channel` waits for its streamer; asked only while `wanted`. */
export function useStreamerGone(channel: string | null, wanted: boolean): boolean {
  const [gone, setGone] = useState<string | null>(null);

  useEffect(() => {
    if (channel === null || !wanted) return;
    const stop = new AbortController();
    const refresh = async (): Promise<void> => {
      if (document.hidden) return;
      const told = await fetchChannel(channel, stop.signal).catch(() => null);
      if (!stop.signal.aborted) setGone(told?.live?.reconnecting === true ? channel : null);
    };
    const refreshNow = (): void => void refresh();
    refreshNow();
    const timer = window.setInterval(refreshNow, REFRESH_MS);
    return () => {
      stop.abort();
      window.clearInterval(timer);
    };
  }, [channel, wanted]);

  return wanted && channel !== null && gone === channel;
}
