/** Which engine plays here. Part of the page's first load: fetched only when needed, hls.js would cost viewers its time. */

import Hls from 'hls.js';

import type { Engine, EngineEvents } from './engine';
import { HlsEngine } from './hlsEngine';
import { NativeEngine } from './nativeEngine';

/** hls.js wherever there is MSE, for its low latency, and the browser's own HLS elsewhere; null where there is none. */
export function chooseEngine(video: HTMLVideoElement, events: EngineEvents): Engine | null {
  if (Hls.isSupported()) return new HlsEngine(video, events);
  return video.canPlayType('application/vnd.apple.mpegurl') === '' ? null : new NativeEngine(video, events);
}
