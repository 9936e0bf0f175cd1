/**
 * Loads the rest of the watch page's scripts once the first picture is there or none comes: they would take the
 * processor from it. Built by itself (`scripts/early-player.mjs`).
 */

/** A page that shows no picture yet must not wait longer for its controls, in milliseconds. */
const PATIENCE_MS = 1_000;

const scripts = document.currentScript?.dataset.scripts?.split(' ') ?? [];

function load(): void {
  for (const src of scripts.splice(0)) {
    const script = document.createElement('script');
    script.src = src;
    // As Next wrote them: React looks for them so, and would add its own beside them.
    script.async = true;
    document.head.append(script);
  }
}

setTimeout(load, PATIENCE_MS);
// Without the early script there is nothing to wait for.
void (window.headwaterEarly?.begun ?? Promise.resolve()).then(load);
