'use client';

import { useEffect, useState } from 'react';

import { strings } from '@/strings';

import styles from './Controls.module.css';
import type { Session } from './session';
import { latencyWords } from './words';

/** How often the figure is read, in milliseconds. */
const READ_MS = 500;
/** So far behind the place for live playback the viewer is told, in seconds. */
const BEHIND_SECONDS = 3;

interface Props {
  readonly session: Session;
  readonly playing: boolean;
  /** The viewer went back in the broadcast. */
  readonly rewound: boolean;
  readonly playable: boolean;
}

/** How far the picture is behind the camera, and the way back to live. */
export function LivePosition({ session, playing, rewound, playable }: Props) {
  const [latency, setLatency] = useState<number | null>(null);
  const [behind, setBehind] = useState(false);

  useEffect(() => {
    const read = (): void => {
      setLatency(playing && !rewound ? session.latency() : null);
      setBehind(playing && (rewound || session.behind() > BEHIND_SECONDS));
    };
    const timer = window.setInterval(read, READ_MS);
    return () => {
      window.clearInterval(timer);
    };
  }, [session, playing, rewound]);

  return (
    <>
      <button
        type="button"
        className={styles.live}
        data-at={playing && !behind ? 'live' : 'behind'}
        title={strings.player.toLive}
        disabled={!playable}
        onClick={() => { session.toLive(); }}
      >
        <span className={styles.dot} />
        <span aria-hidden="true">{strings.player.liveMark}</span>
        <span className="visuallyHidden">{strings.player.toLive}</span>
      </button>
      <span className={styles.latency} title={strings.player.latency}>
        {!rewound && (
          <>
            <span className="visuallyHidden">{strings.player.latency} </span>
            {latencyWords(latency)}
          </>
        )}
      </span>
    </>
  );
}
