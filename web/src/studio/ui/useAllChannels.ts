'use client';

import { useEffect, useState } from 'react';

import { useChannels, type Channels } from '@/channels/useChannels';

/** More channels than a menu can hold are not fetched. */
const CHANNELS_MAX = 500;

/** The list of channels, fetched to its end. */
export function useAllChannels(): Channels {
  const channels = useChannels();
  const { status, hasMore, items, load } = channels;
  const wantsMore = status === 'ready' && hasMore && items.length < CHANNELS_MAX;

  useEffect(() => {
    if (wantsMore) load();
  }, [wantsMore, load]);

  return { ...channels, hasMore: wantsMore };
}

/** A choice among them: the first, until another is chosen. */
export function useChosen({ items }: Channels): [string | null, (name: string) => void] {
  const [chosen, choose] = useState<string | null>(null);
  return [chosen ?? items[0]?.name ?? null, choose];
}
