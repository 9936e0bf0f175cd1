/** One tab of a browser is live on a channel: a copied tab must not take over from the first. */

/** A page that is just being reloaded gets so long to let go, in milliseconds. */
const WAIT_MS_MAX = 3_000;

/** Takes the channel for this tab until `signal` aborts; false if another tab has it. */
export function claim(channel: string, signal: AbortSignal): Promise<boolean> {
  if (!('locks' in navigator)) return Promise.resolve(true);
  const held = new Promise<void>((resolve) => {
    signal.addEventListener('abort', () => { resolve(); });
  });
  return new Promise((resolve) => {
    const wait = AbortSignal.any([signal, AbortSignal.timeout(WAIT_MS_MAX)]);
    navigator.locks
      .request(`headwater.studio.${channel}`, { signal: wait }, () => {
        resolve(true);
        return held;
      })
      .catch(() => { resolve(false); });
  });
}
