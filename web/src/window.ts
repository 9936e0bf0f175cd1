/** What pages show of themselves to tests and support: `window.headwater`. */

import type { PlayerReport } from '@/player/stats';
import type { StudioReport } from '@/studio/report';

declare global {
  interface Window {
    headwater?: PlayerReport | StudioReport;
  }
}
