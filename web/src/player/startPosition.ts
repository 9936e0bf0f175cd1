/** Where to start in a low-latency media playlist. Pure: text in, seconds out. */

export interface StartPosition {
  /** Seconds from there to the end of the last part. */
  readonly behindEdge: number;
  /** PART-HOLD-BACK, in seconds. */
  readonly holdBack: number;
}

/** So far within the part the position lies, that rounding does not move it into the part before. */
const WITHIN_SECONDS = 0.02;

const HOLD_BACK = /PART-HOLD-BACK=([\d.]+)/;
const PART = /^#EXT-X-PART:(.*)$/;
const DURATION = /(?:^|,)DURATION=([\d.]+)/;
const INDEPENDENT = /(?:^|,)INDEPENDENT=YES/;

/**
 * At the newest independent part that begins at the hold-back or before it (rfc8216bis 4.4.4.9); at the first part of a
 * broadcast that is not as old as that, where hls.js would leave out what it could have in hand; else null.
 */
export function startOf(playlist: string): StartPosition | null {
  const holdBack = Number(HOLD_BACK.exec(playlist)?.[1]);
  if (!(holdBack > 0)) return null;
  let behindEdge = 0;
  const parts = playlist.split('\n').flatMap((line) => PART.exec(line.trim())?.[1] ?? []);
  for (const [index, part] of parts.reverse().entries()) {
    behindEdge += Number(DURATION.exec(part)?.[1]);
    const isOldest = index + 1 === parts.length;
    if (!INDEPENDENT.test(part)) continue;
    // Of a whole broadcast no further in than the beginning: from there nothing need be sought.
    if (isOldest && isWhole(playlist)) return { behindEdge: behindEdge + WITHIN_SECONDS, holdBack };
    if (isOldest || behindEdge >= holdBack) return { behindEdge: behindEdge - WITHIN_SECONDS, holdBack };
  }
  return null;
}

/** Whether no segment stands before the first part. */
function isWhole(playlist: string): boolean {
  const segment = playlist.indexOf('#EXTINF:');
  return segment < 0 || playlist.indexOf('#EXT-X-PART:') < segment;
}

/**
 * What to ask for where a playlist has parts but no whole segment yet: the revision that has one (rfc8216bis 6.2.5.2); null
 * where that is not so or cannot be asked for.
 */
export function untilFirstSegment(url: string, playlist: string): string | null {
  const hasPartsAlone = playlist.includes('#EXT-X-PART:') && !playlist.includes('#EXTINF:') && !playlist.includes('#EXT-X-ENDLIST');
  const msn = /^#EXT-X-MEDIA-SEQUENCE:(\d+)/m.exec(playlist)?.[1] ?? '0';
  if (!hasPartsAlone || !playlist.includes('CAN-BLOCK-RELOAD=YES') || url.includes('?')) return null;
  return `${url}?_HLS_msn=${msn}`;
}

/** Browsers count a picture in whole microseconds, rounded down: what they have ends so much before the segment at most. */
const ROUNDING_SECONDS = 0.00002;

/**
 * The same media playlist with segments that end where a browser says that they do, if it has parts. To hls.js 1.7.4 a segment
 * whose buffer ends a microsecond early is unfinished: it loads its last part again and again, until playback stalls.
 */
export function withRoundedEnds(playlist: string): string {
  if (!playlist.includes('#EXT-X-PART:')) return playlist;
  return playlist.replace(/^#EXTINF:([\d.]+)/gm, (_line, seconds: string) => `#EXTINF:${(Number(seconds) - ROUNDING_SECONDS).toFixed(5)}`);
}
