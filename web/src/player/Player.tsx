'use client';

import { useCallback, useEffect, useRef } from 'react';

import { strings } from '@/strings';

import { SEEK_SECONDS, stepVolume, toggleMute, togglePlay } from './actions';
import { Controls } from './Controls';
import type { KeyAction } from './keys';
import { Notice } from './Notice';
import { Offer } from './Offer';
import styles from './Player.module.css';
import { useFullScreen } from './useFullScreen';
import { useIdle } from './useIdle';
import { useKeys } from './useKeys';
import { useSession } from './useSession';
import { useVideo } from './useVideo';

/** The player of one channel, with its title; `null` while the page does not know the channel yet. */
export function Player({ channel }: { readonly channel: string | null }) {
  const root = useRef<HTMLDivElement>(null);
  const video = useRef<HTMLVideoElement>(null);
  const [session, view] = useSession(channel, video);
  const shown = useVideo(video);
  const [full, toggleFullScreen] = useFullScreen(root, video);
  const idle = useIdle(root);
  const { phase } = view.player;
  const title = view.title ?? channel;
  const playable = view.player.attached !== null && phase !== 'failed';

  const act = useCallback(
    (action: KeyAction) => {
      const element = video.current;
      if (element === null || session === null) return;
      const acts: Record<KeyAction, () => void> = {
        togglePlay: () => { togglePlay(element); },
        toggleMute: () => { toggleMute(element); },
        toggleFullScreen,
        toLive: () => { session.toLive(); },
        volumeUp: () => { stepVolume(element, 1); },
        volumeDown: () => { stepVolume(element, -1); },
        seekBack: () => { session.seekBy(-SEEK_SECONDS); },
        seekForward: () => { session.seekBy(SEEK_SECONDS); },
        toStart: () => { session.toStart(); },
      };
      acts[action]();
    },
    [session, toggleFullScreen],
  );
  useKeys(act);

  useEffect(() => {
    if (title !== null) document.title = `${title}${strings.separator}${strings.product}`;
  }, [title]);

  return (
    <article className={styles.page}>
      <div
        ref={root}
        className={styles.player}
        data-state={phase}
        data-dvr={view.dvr !== null}
        data-idle={idle && phase === 'live' && !shown.paused}
        role="region"
        aria-label={strings.player.region}
      >
        {/* Live captions are a later matter; the stream carries none. */}
        {/* eslint-disable-next-line jsx-a11y/media-has-caption */}
        <video ref={video} className={styles.video} playsInline />
        <div role="status" className={styles.said}>
          {phase === 'live' && view.streamerGone && <p className={styles.saidWords}>{strings.streamerGone}</p>}
        </div>
        <Notice player={view.player} title={title} onRetry={() => session?.retry()} />
        <Offer playable={playable} view={view} shown={shown} act={act} />
        {session !== null && (
          <Controls session={session} view={view} shown={shown} full={full} video={video} playable={playable} act={act} />
        )}
      </div>
      <Caption channel={channel} title={title} live={phase === 'live'} startedAt={view.startedAt} />
    </article>
  );
}

interface CaptionProps {
  readonly channel: string | null;
  readonly title: string | null;
  readonly live: boolean;
  readonly startedAt: Date | null;
}

function Caption({ channel, title, live, startedAt }: CaptionProps) {
  const since = startedAt?.toLocaleTimeString(undefined, { hour: '2-digit', minute: '2-digit' });
  return (
    <header className={styles.caption}>
      <h1 className={styles.title}>{title ?? '\u00a0'}</h1>
      <p className={styles.under}>
        <span>{channel ?? '\u00a0'}</span>
        {live && since !== undefined && <span>{strings.watch.startedAt(since)}</span>}
      </p>
    </header>
  );
}
