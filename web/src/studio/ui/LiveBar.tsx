'use client';

import { useEffect, useState } from 'react';

import { Button } from '@/shell/Button';
import { Confirm } from '@/shell/Confirm';
import { strings } from '@/strings';

import { isOn } from '../publish';
import type { Studio, StudioView } from '../studio';
import { durationWords } from '../words';
import styles from './LiveBar.module.css';
import { useStreamerGone } from './useStreamerGone';

const words = strings.studio.live;
const troubles = strings.studio.trouble;
const TICK_MS = 1_000;

interface Props {
  readonly studio: Studio;
  readonly view: StudioView;
}

/** The state in words, and the one button that changes it. */
export function LiveBar({ studio, view }: Props) {
  const { phase } = view.publish;
  return (
    <section className={styles.bar} aria-label={words.label} data-phase={phase}>
      <div className={styles.state}>
        <p className={styles.badge}>
          <span className={styles.dot} />
          {words.phase[phase]}
        </p>
        <Duration view={view} />
      </div>
      <Said view={view} />
      <Action studio={studio} view={view} />
    </section>
  );
}

/** What happens, and what the streamer can do about it. */
function Said({ view }: { readonly view: StudioView }) {
  const { phase, trouble } = view.publish;
  const said = trouble?.said ?? null;
  const streamerGone = useStreamerGone(view.channel, !isOn(view.publish));
  return (
    <div className={styles.said}>
      <div role="status">
        <p className={trouble === null ? styles.hint : styles.trouble}>{trouble === null ? hint(view) : troubles[trouble.kind].title}</p>
        {trouble !== null && (
          <p className={styles.hint}>
            {troubles[trouble.kind].hint}
            {said !== null && phase === 'failed' && ` ${words.said(said)}`}
          </p>
        )}
        {streamerGone && <p className={styles.hint}>{strings.streamerGone}</p>}
      </div>
      <RetryIn at={view.retryAtMs} />
    </div>
  );
}

function hint({ publish, onAir, sources, waitsForScreen }: StudioView): string {
  if (waitsForScreen) return words.hint.waitsForScreen;
  if (publish.phase === 'live') return onAir === null ? words.hint.starting : words.hint.onAir;
  if (publish.phase === 'ready' && sources.picture.is !== 'running') return words.needsPicture;
  return words.hint[publish.phase];
}

function Action({ studio, view }: Props) {
  const [asks, setAsks] = useState(false);
  const { phase } = view.publish;
  const live = phase === 'live' || (phase === 'reconnecting' && view.publish.wasLive);
  const end = (): void => {
    setAsks(false);
    studio.end();
  };
  if (!isOn(view.publish)) {
    const label = phase === 'ready' ? words.go : words.goAgain;
    return (
      <Button onClick={() => { studio.goLive(); }} disabled={view.sources.picture.is !== 'running' || view.channel === null}>
        {label}
      </Button>
    );
  }
  return (
    <>
      <Button kind={live ? 'danger' : 'quiet'} onClick={live ? () => { setAsks(true); } : end}>
        {live ? words.end : words.cancel}
      </Button>
      {asks && live && (
        <Confirm
          title={words.confirmTitle}
          hint={words.confirmHint}
          keep={words.confirmKeep}
          confirm={words.confirmEnd}
          onKeep={() => { setAsks(false); }}
          onConfirm={end}
        />
      )}
    </>
  );
}

function Duration({ view }: { readonly view: StudioView }) {
  const { liveSinceMs } = view;
  const now = useNow(liveSinceMs !== null, Date.now);
  if (liveSinceMs === null || !isOn(view.publish)) return null;
  return (
    <p className={styles.duration}>
      <span className="visuallyHidden">{words.duration} </span>
      <span role="timer">{durationWords(now - liveSinceMs)}</span>
    </p>
  );
}

function RetryIn({ at }: { readonly at: number | null }) {
  const now = useNow(at !== null, clock);
  const seconds = at === null ? 0 : Math.ceil((at - now) / 1_000);
  return <p className={styles.retry}>{seconds > 0 ? words.retryIn(seconds) : ''}</p>;
}

const clock = (): number => performance.now();

/** The time by `read`, once a second while it is `wanted`. */
function useNow(wanted: boolean, read: () => number): number {
  const [now, setNow] = useState(read);
  useEffect(() => {
    if (!wanted) return;
    const tick = (): void => { setNow(read()); };
    const first = window.setTimeout(tick, 0);
    const timer = window.setInterval(tick, TICK_MS);
    return () => {
      window.clearTimeout(first);
      window.clearInterval(timer);
    };
  }, [wanted, read]);
  return now;
}
