'use client';

import { useSyncExternalStore } from 'react';

import { channelOfPath } from '@/api/channels';
import { Player } from '@/player/Player';
import { Message } from '@/shell/Message';
import { strings } from '@/strings';

/** The path never changes while a document lives: every page is a document of its own. */
const subscribe = () => () => undefined;
const currentPath = () => window.location.pathname;
const noPath = () => null;

/** The watch page of the channel in the URL. Its HTML is the same for all channels. */
export function WatchPage() {
  const path = useSyncExternalStore(subscribe, currentPath, noPath);
  const channel = path === null ? null : channelOfPath(path);
  if (path !== null && channel === null) {
    return (
      <Message heading="h1" title={strings.watch.badName} hint={strings.watch.badNameHint}>
        <a href="/">{strings.notFound.home}</a>
      </Message>
    );
  }
  return <Player channel={channel} />;
}
