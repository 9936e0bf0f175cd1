/** A picture that is drawn, as a video track. Goes on while the page is in the background. */

import type { Height } from './settings';
import { widthOf } from './settings';

export interface PictureSize {
  readonly width: number;
  readonly height: number;
}

/** Draws one picture. Called with the time that it shows. */
export type Paint = (context: CanvasRenderingContext2D, size: PictureSize, nowMs: number, frame: number) => void;

export class DrawnPicture {
  readonly track: MediaStreamTrack;
  private readonly canvas = document.createElement('canvas');
  private readonly context: CanvasRenderingContext2D;
  private readonly clock = new Worker(new URL('./frameClock.worker.ts', import.meta.url));
  private frame = 0;

  /** Throws where the browser cannot draw or capture what is drawn. */
  constructor(
    private readonly paint: Paint,
    height: Height,
    framesPerSecond: number,
  ) {
    const context = this.canvas.getContext('2d', { alpha: false });
    if (context === null) throw new DOMException('no canvas', 'NotSupportedError');
    this.context = context;
    this.resize(height);
    const [track] = this.canvas.captureStream(framesPerSecond).getVideoTracks();
    if (track === undefined) throw new DOMException('no capture', 'NotSupportedError');
    this.track = track;
    this.clock.addEventListener('message', this.draw);
    this.pace(framesPerSecond);
    this.draw();
  }

  resize(height: Height): void {
    this.canvas.width = widthOf(height);
    this.canvas.height = height;
  }

  pace(framesPerSecond: number): void {
    this.clock.postMessage(framesPerSecond);
  }

  stop(): void {
    this.clock.terminate();
    this.track.stop();
  }

  private readonly draw = (): void => {
    const { width, height } = this.canvas;
    this.paint(this.context, { width, height }, Date.now(), this.frame);
    this.frame += 1;
  };
}
