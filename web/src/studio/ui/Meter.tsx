'use client';

import { useEffect, useRef } from 'react';

import { strings } from '@/strings';

import { fall, filled, FLOOR_DB, loudness } from '../level';
import type { Input } from '../mixer';
import type { Studio } from '../studio';
import styles from './Panels.module.css';

const words = strings.studio.sound;
/** How often the bar moves, and how often its value is told to assistive software, in milliseconds. */
const MOVE_MS = 66;
const TELL_MS = 1_000;

/** How loud an input is. Up at once, down slowly, so that it can be read. */
export function Meter({ studio, of }: { readonly studio: Studio; readonly of: Input | 'all' }) {
  const meter = useRef<HTMLDivElement>(null);
  const bar = useRef<HTMLSpanElement>(null);

  useEffect(() => {
    let shownDb = FLOOR_DB;
    const move = (): void => {
      if (document.hidden || bar.current === null) return;
      shownDb = fall(shownDb, studio.peak(of), MOVE_MS / 1_000);
      bar.current.style.transform = `scaleX(${filled(shownDb)})`;
      bar.current.dataset.loudness = loudness(shownDb);
    };
    const tell = (): void => {
      const value = Math.round(shownDb);
      meter.current?.setAttribute('aria-valuenow', String(value));
      meter.current?.setAttribute('aria-valuetext', `${words.decibels(value)}, ${words.loudness[loudness(shownDb)]}`);
    };
    const moving = window.setInterval(move, MOVE_MS);
    const telling = window.setInterval(tell, TELL_MS);
    return () => {
      window.clearInterval(moving);
      window.clearInterval(telling);
    };
  }, [studio, of]);

  return (
    <div className={styles.meterRow}>
      <span className={styles.meterName} aria-hidden="true">
        {words.meterNames[of]}
      </span>
      <div
        ref={meter}
        className={styles.meter}
        role="meter"
        aria-label={words.meters[of]}
        aria-valuemin={FLOOR_DB}
        aria-valuemax={0}
        aria-valuenow={FLOOR_DB}
        data-meter={of}
      >
        <span ref={bar} className={styles.meterBar} />
      </div>
    </div>
  );
}
