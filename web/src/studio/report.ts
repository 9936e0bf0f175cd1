/** The studio's state, for tests and for support: `window.headwater.studio()`. Holds no secret. */

import type { Studio, StudioView } from './studio';

export interface StudioReport {
  readonly studio: () => StudioView & { readonly peakDb: number };
}

export function reportOf(studio: Studio): StudioReport {
  return { studio: () => ({ ...studio.snapshot(), peakDb: studio.peak('all') }) };
}
