/** Which engine plays here. Part of the page's first load: fetched only when needed, hls.js would cost viewers its time. */

import Hls from 'hls.js';

import type { Engine, EngineEvents } from './engine';
import { HlsEngine } from './hlsEngine';
import { NativeEngine } from './nativeEngine';

/** Whether playback here can go on with another token: where we load, not the browser. */
export const canRenew = (): boolean => Hls.isSupported();

/**
 * hls.js wherever there is MSE, for its low latency, and the browser's own HLS elsewhere; null where there is none. `current` is an address
 * with the newest token.
 */
export function chooseEngine(video: HTMLVideoElement, events: EngineEvents, current: (url: string) => string): Engine | null {
  if (Hls.isSupported()) return new HlsEngine(video, events, current);
  return video.canPlayType('application/vnd.apple.mpegurl') === '' ? null : new NativeEngine(video, events);
}
