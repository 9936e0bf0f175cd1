/** HLS by hls.js: low latency, catch-up, levels. */

import Hls, { ErrorDetails, ErrorTypes, Events, type ErrorData, type FragBufferedData, type HlsConfig, type LevelDetails } from 'hls.js';

import type { Engine, EngineEvents, Fault, Load } from './engine';
import { playlistLoader, tokenLoader } from './playlistLoader';
import { startOf } from './startPosition';
import type { Level } from './words';

/**
 * `maxLiveSyncPlaybackRate` lets playback run faster until it is where the playlist's hold-back wants it.
 * What was played stays in the buffer until the browser wants the room: when hls.js 1.7.4 trims it, it forgets which
 * parts of the newest segment it has, and may then wait at that segment's end for seconds.
 * fMP4 needs no remuxing, so a worker would only cost messages and a `blob:` in the CSP.
 * The first level is chosen by the estimate alone: a test of the bandwidth would load a whole segment and throw it away
 * before the first picture. That is loaded while the browser opens the media source.
 */
const CONFIG: Partial<HlsConfig> = {
  lowLatencyMode: true,
  maxLiveSyncPlaybackRate: 1.25,
  liveSyncOnStallIncrease: 0.3,
  maxBufferLength: 20,
  maxBufferSize: 30_000_000,
  liveDurationInfinity: true,
  capLevelToPlayerSize: true,
  abrEwmaDefaultEstimate: 2_000_000,
  testBandwidth: false,
  startFragPrefetch: true,
  enableWorker: false,
};

/** For what was: whole segments, no hurry to live. hls.js keeps what it has; a list may be hours long. */
const REWOUND: Partial<HlsConfig> = {
  ...CONFIG,
  lowLatencyMode: false,
  maxLiveSyncPlaybackRate: 1,
  liveSyncOnStallIncrease: 0,
};

/** So close to the wanted place is there, in seconds: a fragment may begin before it. */
const BEGIN_SECONDS = 3;
/** So many fragments are waited for. */
const BEGIN_TRIES = 8;

/** Before a playlist tells. */
const CATCH_UP_SECONDS = 2;

const UNSUPPORTED: ReadonlySet<ErrorDetails> = new Set([
  ErrorDetails.MANIFEST_INCOMPATIBLE_CODECS_ERROR,
  ErrorDetails.BUFFER_ADD_CODEC_ERROR,
  ErrorDetails.BUFFER_INCOMPATIBLE_CODECS_ERROR,
]);

/**
 * Where playback starts: at the newest picture that can be decoded by itself and lies behind the hold-back. hls.js would
 * start at the hold-back, and show nothing before it has all parts from that picture on. What is behind then, playback
 * catches up with.
 */
class StartPosition {
  private holdBack: number | null = null;
  private isSet = false;

  /** Takes it from the first media playlist of a level. */
  from(hls: Hls, playlist: string): void {
    if (this.isSet) return;
    this.isSet = true;
    const start = startOf(playlist);
    if (start === null) return;
    this.holdBack = start.holdBack;
    hls.targetLatency = start.behindEdge;
  }

  /** Playback has begun: from here on the hold-back rules. */
  reached(hls: Hls): void {
    if (this.holdBack === null || this.video(hls) === 0) return;
    hls.targetLatency = this.holdBack;
    this.holdBack = null;
  }

  private video(hls: Hls): number {
    return hls.media?.readyState ?? 0;
  }
}

export class HlsEngine implements Engine {
  readonly kind = 'hls.js';
  private hls: Hls | null = null;
  private fault: Fault | null = null;

  constructor(
    private readonly video: HTMLVideoElement,
    private readonly events: EngineEvents,
    private readonly current: (url: string) => string,
  ) {}

  attach({ src, from, playlist }: Load): void {
    this.detach();
    const position = new StartPosition();
    const loader = tokenLoader(this.current);
    const pLoader = playlistLoader(playlist, (text) => { if (from === null) position.from(hls, text); }, loader);
    const hls: Hls = new Hls({ ...(from === null ? CONFIG : REWOUND), loader, pLoader });
    this.hls = hls;
    this.fault = null;
    hls.on(Events.ERROR, (_event, error) => {
      if (hls !== this.hls) return;
      this.remember(error);
      if (error.fatal) this.failed(error);
    });
    for (const event of [Events.MANIFEST_PARSED, Events.LEVEL_SWITCHED, Events.LEVELS_UPDATED] as const) {
      hls.on(event, () => {
        this.events.levelsChanged();
      });
    }
    hls.on(Events.FRAG_BUFFERED, () => { position.reached(hls); });
    if (from !== null) this.beginAt(hls, from);
    hls.loadSource(src);
    hls.attachMedia(this.video);
  }

  /**
   * Which place a date has is known with the first list. Where hls.js gives up its first fragment, as when it takes
   * another level, it forgets where to begin and goes to live: until the picture is there it is told again.
   */
  private beginAt(hls: Hls, from: Date): void {
    const place = (details: LevelDetails): number => positionIn(details, from) ?? details.fragments[0]?.start ?? 0;
    let tries = 0;
    const hold = (_event: Events.FRAG_BUFFERED, { frag }: FragBufferedData): void => {
      const details = hls === this.hls ? hls.latestLevelDetails : null;
      const isThere = details === null || Math.abs(this.video.currentTime - place(details)) < BEGIN_SECONDS;
      tries += 1;
      if ((isThere && (frag.type as string) === 'main') || tries > BEGIN_TRIES) hls.off(Events.FRAG_BUFFERED, hold);
      else if (!isThere) this.video.currentTime = place(details);
    };
    hls.on(Events.FRAG_BUFFERED, hold);
    hls.once(Events.LEVEL_UPDATED, (_event, { details }) => {
      if (hls === this.hls) hls.startLoad(place(details));
    });
  }

  reload(): void {
    this.hls?.startLoad();
  }

  recoverMedia(): void {
    this.hls?.recoverMediaError();
  }

  detach(): void {
    this.hls?.destroy();
    this.hls = null;
  }

  lastFault(): Fault | null {
    return this.fault;
  }

  levels(): readonly Level[] {
    const levels = this.hls?.levels ?? [];
    return levels
      .map(({ height, bitrate }, index) => ({ index, height, bitrate }))
      .sort((a, b) => b.height - a.height || b.bitrate - a.bitrate);
  }

  playingLevel(): number | null {
    const level = this.hls?.currentLevel ?? -1;
    return level < 0 ? null : level;
  }

  chosenLevel(): number | null {
    return this.hls === null || this.hls.autoLevelEnabled ? null : this.hls.manualLevel;
  }

  choose(index: number | null): void {
    if (this.hls !== null) this.hls.nextLevel = index ?? -1;
  }

  capturedAt(): Date | null {
    return this.hls?.playingDate ?? null;
  }

  positionOf(date: Date): number | null {
    const details = this.hls?.latestLevelDetails ?? null;
    return details === null ? null : positionIn(details, date);
  }

  listedFrom(): Date | null {
    const oldest = this.hls?.latestLevelDetails?.fragments[0]?.programDateTime ?? null;
    return oldest === null ? null : new Date(oldest);
  }

  livePosition(): number | null {
    return this.hls?.liveSyncPosition ?? null;
  }

  /** hls.js plays faster within its target latency and one target duration; farther behind counts as a wish. */
  catchUpSeconds(): number {
    const details = this.hls?.latestLevelDetails;
    return details ? details.targetduration + details.partHoldBack : CATCH_UP_SECONDS;
  }

  /** A stall is what a fault does, and an abort is our own wish: neither is a fault. */
  private remember({ type, details }: ErrorData): void {
    if (details === ErrorDetails.INTERNAL_ABORTED || details === ErrorDetails.BUFFER_STALLED_ERROR) return;
    if (type === ErrorTypes.NETWORK_ERROR) this.fault = 'network';
    else if (type === ErrorTypes.MEDIA_ERROR) this.fault = 'media';
  }

  private failed(error: ErrorData): void {
    if (UNSUPPORTED.has(error.details)) this.events.unsupported();
    else if (error.type === ErrorTypes.NETWORK_ERROR) this.events.networkLost();
    else this.events.mediaBroken();
  }
}

/** Where in the media what was captured at `date` is; what falls into a hole begins behind it. */
function positionIn({ fragments }: LevelDetails, date: Date): number | null {
  const wanted = date.getTime();
  const oldest = fragments[0]?.programDateTime ?? null;
  if (oldest === null || wanted < oldest) return null;
  for (const { programDateTime, start, duration } of fragments) {
    if (programDateTime === null) continue;
    if (wanted < programDateTime) return start;
    const within = (wanted - programDateTime) / 1_000;
    if (within < duration) return start + within;
  }
  return null;
}
