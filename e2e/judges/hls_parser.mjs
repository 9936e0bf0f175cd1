// Reads [{name, text}] from standard input and prints what npm's hls-parser refuses in strict mode.
import { readFileSync } from 'node:fs';
import HLS from 'hls-parser';

// hls-parser counts segments where the standard counts seconds (rfc8216bis 6.2.2), and counts the one
// that is only hinted: it wants parts gone that are younger than three target durations. Our checker
// judges that by the text; here such a playlist is read once more without the parts that it dislikes.
const STALE_PARTS = 'Remove EXT-X-PART tags';

function withoutOlderParts(text) {
  const lines = text.split('\n');
  const ends = lines.flatMap((line, index) => (line.startsWith('#EXTINF') ? [index] : []));
  const keepFrom = ends.at(-3) ?? 0;
  return lines.filter((line, index) => index > keepFrom || !line.startsWith('#EXT-X-PART:')).join('\n');
}

function parse(text) {
  try {
    HLS.parse(text);
    return null;
  } catch (error) {
    return error.message;
  }
}

HLS.setOptions({ strictMode: true, silent: true });
const problems = [];
for (const { name, text } of JSON.parse(readFileSync(0, 'utf8'))) {
  let problem = parse(text);
  if (problem?.includes(STALE_PARTS)) problem = parse(withoutOlderParts(text));
  if (problem) problems.push(`${name}: ${problem}`);
}
process.stdout.write(JSON.stringify(problems));
