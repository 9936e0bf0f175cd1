/** What pages show of themselves to tests and support, `window.headwater`, and what scripts of one page hand over. */

import type { Session } from '@/player/session';
import type { PlayerReport } from '@/player/stats';
import type { StudioReport } from '@/studio/report';

/** A session that plays before the page has loaded. */
export interface EarlySession {
  readonly channel: string;
  readonly video: HTMLVideoElement;
  readonly session: Session;
  /** Resolves once it plays, or will not soon. */
  readonly begun: Promise<void>;
  /** Somebody else shows the session's state from here on. */
  readonly adopted: () => void;
  readonly stop: () => void;
}

declare global {
  interface Window {
    headwater?: PlayerReport | StudioReport;
    /** Until the page takes it over. */
    headwaterEarly?: EarlySession;
  }
}
