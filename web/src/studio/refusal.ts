/** Why a browser gives no camera, microphone or screen. Pure. */

export type Refusal = 'insecure' | 'unsupported' | 'denied' | 'dismissed' | 'missing' | 'busy' | 'unfit' | 'failed';

/** What was asked for. */
export type Wanted = 'camera' | 'microphone' | 'screen';

/** Can this page use devices at all? */
export function pageRefusal(secure: boolean, hasDevices: boolean): Refusal | null {
  if (!secure) return 'insecure';
  return hasDevices ? null : 'unsupported';
}

/** Sorts an error of `getUserMedia` or `getDisplayMedia` by its name (Media Capture and Streams 10.2). */
export function refusalOf(error: unknown, wanted: Wanted): Refusal {
  const name = error instanceof Error || error instanceof DOMException ? error.name : '';
  switch (name) {
    case 'NotAllowedError':
      // A screen is picked each time anew: to close the picker is no denial.
      return wanted === 'screen' ? 'dismissed' : 'denied';
    case 'SecurityError':
      return 'denied';
    case 'NotFoundError':
      return 'missing';
    case 'NotReadableError':
    case 'AbortError':
      return 'busy';
    case 'OverconstrainedError':
      return 'unfit';
    case 'NotSupportedError':
    case 'TypeError':
      return 'unsupported';
    default:
      return 'failed';
  }
}
