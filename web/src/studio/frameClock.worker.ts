/**
 * Ticks for pictures that are drawn. In a worker, because the timers of a page in the background run
 * once a second at most.
 */

let timer: ReturnType<typeof setInterval> | undefined;

self.addEventListener('message', ({ data }: MessageEvent<number>) => {
  clearInterval(timer);
  timer = setInterval(() => {
    self.postMessage(null);
  }, 1_000 / data);
});
