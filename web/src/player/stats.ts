/** The player's figures, for tests and for support: `window.headwater`. */

import type { Phase } from './state';
import type { Level } from './words';

export interface Stats {
  readonly state: Phase;
  /** The id of the broadcast that plays or is tried. */
  readonly broadcast: string | null;
  readonly engine: 'hls.js' | 'native' | null;
  /** Seconds from capture (EXT-X-PROGRAM-DATE-TIME) to the screen, by this machine's clock. */
  readonly latency: number | null;
  /** Seconds behind where live playback belongs. */
  readonly behind: number;
  /** Did the viewer go back in the broadcast? */
  readonly rewound: boolean;
  /** Seconds behind live, by the capture time of the picture. */
  readonly behindLive: number;
  /** How far back the broadcast can be had, in seconds. */
  readonly reach: number;
  /** The level on screen. */
  readonly level: Level | null;
  readonly levels: readonly Level[];
  readonly auto: boolean;
  readonly droppedFrames: number;
  readonly totalFrames: number;
  /** Seconds of the media. */
  readonly currentTime: number;
  /** Seconds that are loaded beyond `currentTime`. */
  readonly bufferAhead: number;
  readonly playbackRate: number;
  /** Size of the picture, in pixels. */
  readonly width: number;
  readonly height: number;
  readonly paused: boolean;
  readonly muted: boolean;
  /** How often playback ran out of media since the page was opened. */
  readonly stalls: number;
  /** How often the engine gave up since the page was opened. */
  readonly fatalErrors: number;
  /** How often a broadcast was loaded from nothing since the page was opened. */
  readonly attachments: number;
  /** Milliseconds from the last attachment to its first picture. */
  readonly firstFrameMs: number | null;
}

/** What the watch page puts at `window.headwater`. */
export interface PlayerReport {
  readonly state: Phase;
  readonly stats: () => Stats;
}
