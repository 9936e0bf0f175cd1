import { strings } from '@/strings';

import { Icon } from './icons';
import type { KeyAction } from './keys';
import styles from './Player.module.css';
import type { VideoView } from './useVideo';
import type { View } from './view';

interface Props {
  readonly playable: boolean;
  readonly view: View;
  readonly shown: VideoView;
  readonly act: (action: KeyAction) => void;
}

/** The one thing a viewer most likely wants now: sound, or to start at all. */
export function Offer({ playable, view, shown, act }: Props) {
  if (!playable || view.player.phase !== 'live') return null;
  if (view.needsTouch && shown.paused) {
    return (
      <button type="button" className={`${styles.offer ?? ''} ${styles.start ?? ''}`} onClick={() => { act('togglePlay'); }}>
        <Icon name="play" />
        {strings.player.startOffer}
      </button>
    );
  }
  if (!shown.muted) return null;
  return (
    <button type="button" className={styles.offer} onClick={() => { act('toggleMute'); }}>
      <Icon name="muted" />
      {strings.player.unmuteOffer}
    </button>
  );
}
