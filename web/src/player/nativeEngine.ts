/** HLS by the browser itself, where there is no MSE. Levels are the browser's choice. */

import type { Engine, EngineEvents, Fault, Load } from './engine';
import type { Level } from './words';

/** Safari's wall-clock time at media time 0. */
interface WithStartDate {
  getStartDate?: () => Date;
}

export class NativeEngine implements Engine {
  readonly kind = 'native';
  private src: string | null = null;
  /** Where to begin, until that is done. */
  private from: Date | null = null;

  constructor(
    private readonly video: HTMLVideoElement & WithStartDate,
    private readonly events: EngineEvents,
  ) {}

  /** The browser loads all itself, the playlist too. */
  attach({ src, from }: Load): void {
    this.detach();
    this.src = src;
    this.from = from;
    this.video.addEventListener('loadedmetadata', this.begin);
    this.video.addEventListener('error', this.failed);
    this.load();
  }

  reload(): void {
    this.load();
  }

  recoverMedia(): void {
    this.load();
  }

  detach(): void {
    if (this.src === null) return;
    this.src = null;
    this.video.removeEventListener('error', this.failed);
    this.video.removeEventListener('loadedmetadata', this.begin);
    this.video.removeAttribute('src');
    this.video.load();
  }

  lastFault(): Fault | null {
    return null;
  }

  levels(): readonly Level[] {
    return [];
  }

  playingLevel(): number | null {
    return null;
  }

  chosenLevel(): number | null {
    return null;
  }

  choose(): void {
    // The browser chooses.
  }

  capturedAt(): Date | null {
    const start = this.startMs();
    return start === null ? null : new Date(start + this.video.currentTime * 1_000);
  }

  positionOf(date: Date): number | null {
    const start = this.startMs();
    const { seekable } = this.video;
    if (start === null || seekable.length === 0) return null;
    const position = (date.getTime() - start) / 1_000;
    return position >= seekable.start(0) && position < seekable.end(seekable.length - 1) ? position : null;
  }

  listedFrom(): Date | null {
    const start = this.startMs();
    const { seekable } = this.video;
    return start === null || seekable.length === 0 ? null : new Date(start + seekable.start(0) * 1_000);
  }

  livePosition(): number | null {
    const { seekable } = this.video;
    return seekable.length === 0 ? null : seekable.end(seekable.length - 1);
  }

  /** Browsers do not say; less than this is no jump worth seeing. */
  catchUpSeconds(): number {
    return 4;
  }

  private load(): void {
    if (this.src === null) return;
    this.video.src = this.src;
    this.video.load();
  }

  private startMs(): number | null {
    const start = this.video.getStartDate?.().getTime() ?? NaN;
    return Number.isNaN(start) ? null : start;
  }

  private readonly begin = (): void => {
    const position = this.from === null ? null : (this.positionOf(this.from) ?? 0);
    this.from = null;
    if (position !== null) this.video.currentTime = position;
  };

  private readonly failed = (): void => {
    const code = this.video.error?.code;
    if (code === MediaError.MEDIA_ERR_DECODE) this.events.mediaBroken();
    else this.events.networkLost();
  };
}
