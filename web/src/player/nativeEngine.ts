/** HLS by the browser itself, where there is no MSE. Levels are the browser's choice. */

import type { Engine, EngineEvents, Fault } from './engine';
import type { Level } from './words';

/** Safari's wall-clock time at media time 0. */
interface WithStartDate {
  getStartDate?: () => Date;
}

export class NativeEngine implements Engine {
  readonly kind = 'native';
  private src: string | null = null;

  constructor(
    private readonly video: HTMLVideoElement & WithStartDate,
    private readonly events: EngineEvents,
  ) {}

  /** The browser loads all itself, the playlist too. */
  attach(src: string): void {
    this.detach();
    this.src = src;
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
    const start = this.video.getStartDate?.().getTime() ?? NaN;
    return Number.isNaN(start) ? null : new Date(start + this.video.currentTime * 1_000);
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

  private readonly failed = (): void => {
    const code = this.video.error?.code;
    if (code === MediaError.MEDIA_ERR_DECODE) this.events.mediaBroken();
    else this.events.networkLost();
  };
}
