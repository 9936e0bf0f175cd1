/** What a session shows to the page. */

import type { Dvr } from '@/api/live';
import { initialState, type PlayerState } from './state';
import type { Level } from './words';

/** What the page shows. A new object whenever something in it changes. */
export interface View {
  readonly player: PlayerState;
  readonly title: string | null;
  readonly startedAt: Date | null;
  /** What can be rewound to; null is nothing. */
  readonly dvr: Dvr | null;
  /** The viewer went back in the broadcast. */
  readonly rewound: boolean;
  /** The streamer lost the connection; what plays is the broadcast without them. */
  readonly streamerGone: boolean;
  readonly levels: readonly Level[];
  readonly playingLevel: number | null;
  readonly chosenLevel: number | null;
  /** The browser wants a touch before it plays even without sound. */
  readonly needsTouch: boolean;
}

export const initialView: View = {
  player: initialState,
  title: null,
  startedAt: null,
  dvr: null,
  rewound: false,
  streamerGone: false,
  levels: [],
  playingLevel: null,
  chosenLevel: null,
  needsTouch: false,
};
