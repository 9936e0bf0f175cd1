/** The test pattern: colour bars, a clock that tells latency, and something that moves. Draws, and knows nothing else. */

import type { Paint, PictureSize } from './drawnPicture';

/** The bars of SMPTE ECR 1 at 75 %, and what lies under them. */
const BARS = ['#bfbfbf', '#bfbf00', '#00bfbf', '#00bf00', '#bf00bf', '#bf0000', '#0000bf'] as const;
const GROUND = '#10161c';
const INK = '#f2f5f7';
const QUIET = '#a3afba';
const ACCENT = '#5cc8d2';
/** How long the flash and the beep of each second last, in milliseconds. */
export const FLASH_MS = 100;

type Context = CanvasRenderingContext2D;

/** The painter of the pattern for a channel; `words` stands under the clock. */
export function pattern(words: () => string, title: string): Paint {
  return (context, size, nowMs, frame) => {
    context.fillStyle = GROUND;
    context.fillRect(0, 0, size.width, size.height);
    bars(context, size);
    clock(context, size, nowMs, words());
    sweep(context, size, nowMs);
    corner(context, size, title, frame);
  };
}

/** What viewers see while a source is lost: a dark picture. */
export const dark: Paint = (context, { width, height }) => {
  context.fillStyle = '#000000';
  context.fillRect(0, 0, width, height);
};

function bars(context: Context, { width, height }: PictureSize): void {
  const each = width / BARS.length;
  BARS.forEach((colour, index) => {
    context.fillStyle = colour;
    context.fillRect(Math.floor(index * each), 0, Math.ceil(each), Math.round(height * 0.38));
  });
}

function clock(context: Context, { width, height }: PictureSize, nowMs: number, words: string): void {
  const time = clockWords(nowMs);
  context.textAlign = 'center';
  context.textBaseline = 'middle';
  context.fillStyle = INK;
  context.font = `600 ${Math.round(height * 0.17)}px ui-monospace, Menlo, Consolas, monospace`;
  context.fillText(time, width / 2, height * 0.56);
  context.fillStyle = QUIET;
  context.font = `400 ${Math.round(height * 0.05)}px system-ui, sans-serif`;
  context.fillText(words, width / 2, height * 0.71, width * 0.9);
}

/** Crosses the picture once a second: a stutter shows. Flashes when the beep sounds. */
function sweep(context: Context, { width, height }: PictureSize, nowMs: number): void {
  const second = nowMs % 1_000;
  const top = Math.round(height * 0.82);
  const thick = Math.max(2, Math.round(height * 0.02));
  context.fillStyle = '#2c353e';
  context.fillRect(0, top, width, thick);
  context.fillStyle = ACCENT;
  const wide = width * 0.12;
  context.fillRect((second / 1_000) * (width - wide), top, wide, thick);
  if (second >= FLASH_MS) return;
  context.beginPath();
  context.arc(width - height * 0.08, height * 0.92, height * 0.035, 0, 2 * Math.PI);
  context.fill();
}

function corner(context: Context, { width, height }: PictureSize, title: string, frame: number): void {
  context.textAlign = 'left';
  context.fillStyle = QUIET;
  context.font = `400 ${Math.round(height * 0.04)}px system-ui, sans-serif`;
  context.fillText(`${title}  ${width}×${height}  #${frame}`, height * 0.06, height * 0.92, width * 0.75);
}

/** The local time of day, to the hundredth: what a viewer's clock is held against. */
export function clockWords(nowMs: number): string {
  const at = new Date(nowMs);
  const two = (value: number): string => String(value).padStart(2, '0');
  return `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}.${two(Math.floor(at.getMilliseconds() / 10))}`;
}
