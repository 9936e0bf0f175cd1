/** What the session needs from whatever plays HLS: hls.js, or the browser itself. */

import type { Level } from './words';

export type Fault = 'network' | 'media';

export interface EngineEvents {
  /** Playlists or media cannot be fetched; the engine gave up. */
  networkLost(): void;
  /** Media cannot be decoded; the engine gave up. */
  mediaBroken(): void;
  /** Nothing here can play this stream. */
  unsupported(): void;
  /** Levels, or the chosen or playing level, changed. */
  levelsChanged(): void;
}

/** What is to be played. */
export interface Load {
  readonly src: string;
  /** With a date it plays from what was captured then. */
  readonly from: Date | null;
  /** The text behind `src`, where it is known. */
  readonly playlist: string | null;
}

export interface Engine {
  readonly kind: 'hls.js' | 'native';
  /** Loads from nothing and drops whatever was loaded. */
  attach(load: Load): void;
  /** Loads on after the network was lost. */
  reload(): void;
  /** Puts the decoder back to work after broken media. */
  recoverMedia(): void;
  /** Stops loading and frees the media. */
  detach(): void;
  /** What went wrong last since the attachment, whether or not the engine gave up; null is nothing. */
  lastFault(): Fault | null;
  /** From high to low; empty where the choice is not ours. */
  levels(): readonly Level[];
  /** The index of the level on screen, or null where it is not known. */
  playingLevel(): number | null;
  /** The index of the level that the viewer chose; null is automatic. */
  chosenLevel(): number | null;
  choose(index: number | null): void;
  /** The capture time of the picture on screen (EXT-X-PROGRAM-DATE-TIME), or null where it is not known. */
  capturedAt(): Date | null;
  /** Where in the media that is which was captured at `date`, or null where it is not listed or not known. */
  positionOf(date: Date): number | null;
  /** The capture time of the oldest that is listed, or null where it is not known. */
  listedFrom(): Date | null;
  /** Where live playback belongs, in seconds of the media, or null before that is known. */
  livePosition(): number | null;
  /** How far behind that, in seconds, the engine makes up for by itself; for more it takes a jump. */
  catchUpSeconds(): number;
}
