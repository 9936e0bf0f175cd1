// Reads the number out of each picture that a page's video element shows. Put into the page before its own scripts.
// `clockReader.seen` holds [time of day in ms, number]; `firstMs` is when the first picture was shown.
window.clockReader = { firstMs: null, seen: [] };
(() => {
  const BITS = 12;
  const STRIP = 9;
  const WIDTH = BITS * 10;
  // Not every picture: reading costs, and would be measured.
  const EVERY = 3;
  const canvas = document.createElement('canvas');
  canvas.width = WIDTH;
  canvas.height = 9;
  const paint = canvas.getContext('2d', { willReadFrequently: true });
  let count = 0;

  function number(video) {
    const { videoWidth: width, videoHeight: height } = video;
    const strip = height / STRIP;
    paint.drawImage(video, 0, height - strip, width, strip, 0, 0, WIDTH, 9);
    const { data } = paint.getImageData(0, 4, WIDTH, 1);
    let found = 0;
    for (let bit = 0; bit < BITS; bit += 1) {
      if (data[(bit * 10 + 5) * 4 + 1] > 128) found += 2 ** bit;
    }
    return found;
  }

  function follow(video) {
    const step = () => {
      const now = Date.now();
      window.clockReader.firstMs ??= now;
      if (count % EVERY === 0) window.clockReader.seen.push([now, number(video)]);
      count += 1;
      video.requestVideoFrameCallback(step);
    };
    video.requestVideoFrameCallback(step);
  }

  const known = new WeakSet();
  const look = () => {
    for (const video of document.querySelectorAll('video')) {
      if (!known.has(video)) {
        known.add(video);
        follow(video);
      }
    }
  };
  new MutationObserver(look).observe(document, { childList: true, subtree: true });
})();
