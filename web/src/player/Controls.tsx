import type { RefObject } from 'react';

import { strings } from '@/strings';

import { setVolume, togglePictureInPicture } from './actions';
import styles from './Controls.module.css';
import { Icon, type IconName } from './icons';
import type { KeyAction } from './keys';
import { LivePosition } from './LivePosition';
import { Quality } from './Quality';
import { SeekBar } from './SeekBar';
import type { Session } from './session';
import type { VideoView } from './useVideo';
import type { View } from './view';

const words = strings.player;

interface Props {
  readonly session: Session;
  readonly view: View;
  readonly shown: VideoView;
  readonly full: boolean;
  readonly video: RefObject<HTMLVideoElement | null>;
  /** Is there a broadcast to control? */
  readonly playable: boolean;
  readonly act: (action: KeyAction) => void;
}

/** The bar under the picture. It keeps its place in every state; without a broadcast it is disabled. */
export function Controls({ session, view, shown, full, video, playable, act }: Props) {
  const withVideo = (use: (element: HTMLVideoElement) => void) => () => {
    if (video.current !== null) use(video.current);
  };
  return (
    <div className={styles.bar} role="group" aria-label={words.controls}>
      {view.dvr !== null && <SeekBar session={session} playable={playable} />}
      <Tool
        icon={shown.paused ? 'play' : 'pause'}
        label={shown.paused ? words.play : words.pause}
        disabled={!playable}
        onPress={() => { act('togglePlay'); }}
      />
      <Tool
        icon={shown.muted ? 'muted' : 'sound'}
        label={shown.muted ? words.unmute : words.mute}
        disabled={!playable}
        onPress={() => { act('toggleMute'); }}
      />
      <input
        className={styles.volume}
        type="range"
        min="0"
        max="1"
        step="0.05"
        aria-label={words.volume}
        disabled={!playable}
        value={shown.muted ? 0 : shown.volume}
        onChange={(event) => { if (video.current !== null) setVolume(video.current, event.target.valueAsNumber); }}
      />
      <LivePosition session={session} playing={view.player.phase === 'live'} rewound={view.rewound} playable={playable} />
      <span className={styles.space} />
      <Quality session={session} view={view} />
      {document.pictureInPictureEnabled && (
        <span className={styles.pictureInPicture}>
          <Tool
            icon="pictureInPicture"
            label={shown.inPictureInPicture ? words.leavePictureInPicture : words.pictureInPicture}
            disabled={!playable}
            onPress={withVideo(togglePictureInPicture)}
          />
        </span>
      )}
      <Tool
        icon={full ? 'shrink' : 'enlarge'}
        label={full ? words.leaveFullScreen : words.fullScreen}
        onPress={() => { act('toggleFullScreen'); }}
      />
    </div>
  );
}

interface ToolProps {
  readonly icon: IconName;
  readonly label: string;
  readonly disabled?: boolean;
  readonly onPress: () => void;
}

function Tool({ icon, label, disabled = false, onPress }: ToolProps) {
  return (
    <button type="button" className={styles.tool} aria-label={label} title={label} disabled={disabled} onClick={onPress}>
      <Icon name={icon} />
    </button>
  );
}
