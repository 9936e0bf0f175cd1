'use client';

import type { Channel } from '@/api/channels';
import { Button } from '@/shell/Button';
import { Message } from '@/shell/Message';
import { strings } from '@/strings';

import styles from './ChannelList.module.css';
import { Thumbnail } from './Thumbnail';
import { useChannels, type Channels } from './useChannels';
import { useLiveState, type LiveState } from './useLiveState';

const words = strings.landing;
/** Cards that stand in for the list while it loads, so that the page keeps its shape. */
const PLACEHOLDERS = [0, 1, 2];

/** The landing page: every channel, and whether it is live. */
export function ChannelList() {
  const channels = useChannels();
  return (
    <section aria-labelledby="channels">
      <h1 className={styles.title} id="channels">
        {words.title}
      </h1>
      <Body channels={channels} />
    </section>
  );
}

function Body({ channels }: { readonly channels: Channels }) {
  const { status, items, hasMore, load } = channels;
  if (items.length === 0 && status === 'loading') return <Placeholder />;
  if (items.length === 0 && status === 'ready') return <Message title={words.empty} hint={words.emptyHint} />;
  return (
    <>
      {items.length > 0 && (
        <ul className={styles.list}>
          {items.map((channel) => (
            <Card key={channel.name} channel={channel} />
          ))}
        </ul>
      )}
      {status === 'failed' && <Failed retry={load} />}
      {status !== 'failed' && hasMore && (
        <div className={styles.more}>
          <Button onClick={load} disabled={status === 'loading'}>
            {words.more}
          </Button>
        </div>
      )}
    </>
  );
}

function Failed({ retry }: { readonly retry: () => void }) {
  return (
    <div role="alert">
      <Message title={words.failed} hint={words.failedHint}>
        <Button onClick={retry}>{words.retry}</Button>
      </Message>
    </div>
  );
}

function Card({ channel }: { readonly channel: Channel }) {
  const state = useLiveState(channel.name);
  return (
    <li>
      <a className={styles.card} href={`/watch/${channel.name}`}>
        <span className={styles.frame}>{(state === 'live' || state === 'reconnecting') && <Thumbnail channel={channel} />}</span>
        <span className={styles.line}>
          <span className={styles.names}>
            <span className={styles.name}>{channel.title}</span>
            <span className={styles.address}>{channel.name}</span>
          </span>
          <Badge state={state} />
        </span>
      </a>
    </li>
  );
}

function Badge({ state }: { readonly state: LiveState }) {
  const text = { unknown: '', live: words.live, reconnecting: words.reconnecting, notLive: words.notLive, unreachable: words.unknown }[state];
  return (
    <span className={styles.badge} data-state={state} title={state === 'reconnecting' ? strings.streamerGone : undefined}>
      {text}
    </span>
  );
}

function Placeholder() {
  return (
    <div role="status">
      <span className="visuallyHidden">{words.loading}</span>
      <div className={styles.list} aria-hidden="true">
        {PLACEHOLDERS.map((card) => (
          <div className={styles.placeholder} key={card}>
            <div className={styles.frame} />
            <div className={styles.line} />
          </div>
        ))}
      </div>
    </div>
  );
}
