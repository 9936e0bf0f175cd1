// Reads [{path, codecs}] from standard input and prints what GPAC's mp4box.js finds wrong with these files: that they
// are no fragmented files of one track, that its codec is not among those that were promised, or that decode times
// have a hole.
import { readFileSync } from 'node:fs';
import * as MP4Box from 'mp4box';

// It adds the durations up itself, so the decode time that each fragment says is compared with that sum.
function holes(file, samples) {
  const found = [];
  let next = 0;
  let expected = null;
  for (const [index, moof] of file.moofs.entries()) {
    const [traf] = moof.trafs;
    const said = traf.tfdt.baseMediaDecodeTime;
    if (expected !== null && said !== expected) found.push(`fragment ${index} begins at ${said}, expected ${expected}`);
    const count = traf.truns.reduce((sum, trun) => sum + trun.sample_count, 0);
    const own = samples.slice(next, next + count);
    expected = said + own.reduce((sum, sample) => sum + sample.duration, 0);
    next += count;
  }
  return found;
}

function judge({ path, codecs }) {
  const bytes = readFileSync(path);
  const buffer = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
  buffer.fileStart = 0;
  const file = MP4Box.createFile();
  const problems = [];
  file.onError = (module, message) => problems.push(`${module}: ${message}`);
  let info = null;
  file.onReady = (ready) => {
    info = ready;
  };
  file.appendBuffer(buffer);
  file.flush();
  if (!info) return [...problems, 'no movie'];
  if (!info.isFragmented) problems.push('not fragmented');
  if (info.tracks.length !== 1) return [...problems, `${info.tracks.length} tracks`];
  const [track] = info.tracks;
  if (!codecs.includes(track.codec)) problems.push(`codec ${track.codec}, promised ${codecs}`);
  const samples = file.getTrackSamplesInfo(track.id);
  if (samples.length === 0) problems.push('no samples');
  problems.push(...holes(file, samples));
  if (samples.length > 0 && !samples[0].is_sync) problems.push('does not begin with a sync sample');
  return problems;
}

const found = [];
for (const wanted of JSON.parse(readFileSync(0, 'utf8'))) {
  for (const problem of judge(wanted)) found.push(`${wanted.path.split('/').at(-1)}: ${problem}`);
}
process.stdout.write(JSON.stringify(found));
