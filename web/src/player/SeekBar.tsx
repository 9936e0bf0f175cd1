'use client';

import { useEffect, useState } from 'react';

import { strings } from '@/strings';

import styles from './Controls.module.css';
import type { Session } from './session';
import { behindWords } from './words';

/** How often the position is read, in milliseconds. */
const READ_MS = 500;
/** So long a finger or a key may go on before the player follows. */
const SETTLED_MS = 250;
/** One press of an arrow key on the bar, in seconds. */
const STEP_SECONDS = 5;

interface Position {
  /** How far back the broadcast can be had, in seconds. */
  readonly reach: number;
  /** How far behind live the picture is, in seconds. */
  readonly behind: number;
}

const START: Position = { reach: 0, behind: 0 };

interface Props {
  readonly session: Session;
  readonly playable: boolean;
}

/** Where in the broadcast the picture is, and the way to another place in it: the browser's own slider, for keys, touch and
 * screen readers. Its right end is live. */
export function SeekBar({ session, playable }: Props) {
  const [position, setPosition] = useState(START);
  const [wish, setWish] = useState<number | null>(null);

  useEffect(() => {
    const read = (): void => {
      setPosition({ reach: Math.floor(session.reach()), behind: Math.round(session.behindLive()) });
    };
    read();
    const timer = window.setInterval(read, READ_MS);
    return () => {
      window.clearInterval(timer);
    };
  }, [session]);

  useEffect(() => {
    if (wish === null) return;
    const timer = window.setTimeout(() => {
      session.seekBehind(wish);
      setWish(null);
      setPosition(({ reach }) => ({ reach, behind: wish }));
    }, SETTLED_MS);
    return () => {
      window.clearTimeout(timer);
    };
  }, [session, wish]);

  const behind = Math.min(wish ?? position.behind, position.reach);
  const words = playable ? behindWords(behind) : '';
  return (
    <div className={styles.seek}>
      <input
        className={styles.seekBar}
        type="range"
        min={-position.reach}
        max={0}
        step={1}
        aria-label={strings.player.seek}
        aria-valuetext={words}
        disabled={!playable || position.reach === 0}
        value={behind === 0 ? 0 : -behind}
        onChange={({ target }) => { setWish(-target.valueAsNumber); }}
        onKeyDown={(event) => {
          const step = { ArrowLeft: STEP_SECONDS, ArrowDown: STEP_SECONDS, ArrowRight: -STEP_SECONDS, ArrowUp: -STEP_SECONDS }[event.key];
          if (step === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
          event.preventDefault();
          setWish(Math.min(position.reach, Math.max(0, behind + step)));
        }}
      />
      <span className={styles.seekWords} aria-hidden="true">
        {words}
      </span>
    </div>
  );
}
