/** `window.headwater` of a page that plays. */

import type { Session } from './session';
import type { PlayerReport } from './stats';

export function reportOf(session: Session): PlayerReport {
  return {
    get state() {
      return session.snapshot().player.phase;
    },
    stats: () => session.stats(),
  };
}
