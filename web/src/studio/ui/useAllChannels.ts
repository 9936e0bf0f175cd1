'use client';

import { useEffect, useState } from 'react';

import type { Account } from '@/api/account';
import { fetchMe, rightsOn } from '@/api/me';
import { useChannels, type Channels } from '@/channels/useChannels';
import { useAnswer } from '@/shell/useAnswer';

/** More channels than a menu can hold are not fetched. */
const CHANNELS_MAX = 500;

/** Roles that have to do with every channel. */
const OF_ALL = ['admin', 'read'];

/** The channels that `account` may publish to, as far as can be said; the API decides. */
export function useOwnChannels({ role }: Account): Channels {
  const channels = useAllChannels();
  const me = useAnswer(fetchMe);
  if (OF_ALL.includes(role)) return channels;
  const who = me.value;
  if (who === null) return { ...channels, status: me.error === null ? 'loading' : 'failed', items: [] };
  return { ...channels, items: channels.items.filter(({ name }) => rightsOn(who, name).isCrew) };
}

/** The list of channels, fetched to its end. */
 function useAllChannels(): Channels {
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

/** The channel that a link to the studio asks for (`?channel=demo`), once. */
export function takeAsked(): string | null {
  const url = new URL(window.location.href);
  const asked = url.searchParams.get('channel');
  if (asked === null) return null;
  // After a reload the page goes on with what was chosen last.
  url.searchParams.delete('channel');
  window.history.replaceState(window.history.state, '', url);
  return asked;
}
