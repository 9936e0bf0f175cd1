import { bitrateWords } from '@/player/words';
import { strings } from '@/strings';

import { BITRATES, FRAME_RATES, HEIGHTS, pictureBitrate, PREFERENCES } from '../settings';
import type { Studio, StudioView } from '../studio';
import { Card, Select } from '@/shell/fields';
import styles from './Panels.module.css';

const words = strings.studio.quality;
const AUTOMATIC = '';

interface Props {
  readonly studio: Studio;
  readonly view: StudioView;
}

/** How much picture is sent. Changes bite at once, also while live. */
export function QualityPanel({ studio, view }: Props) {
  const { settings } = view;
  const automatic = bitrateWords(pictureBitrate({ ...settings, bitrate: null }) * 1_000);
  const find = <T,>(values: readonly T[], text: string): T | undefined => values.find((value) => String(value) === text);
  return (
    <Card title={words.title}>
      <div className={styles.choices}>
        <Select
          label={words.size}
          value={String(settings.height)}
          choices={HEIGHTS.map((height) => ({ value: String(height), label: words.height(height) }))}
          onChoose={(text) => { studio.choose({ height: find(HEIGHTS, text) ?? settings.height }); }}
        />
        <Select
          label={words.frameRate}
          value={String(settings.frameRate)}
          choices={FRAME_RATES.map((rate) => ({ value: String(rate), label: words.frames(rate) }))}
          onChoose={(text) => { studio.choose({ frameRate: find(FRAME_RATES, text) ?? settings.frameRate }); }}
        />
        <Select
          label={words.bitrate}
          value={settings.bitrate === null ? AUTOMATIC : String(settings.bitrate)}
          choices={[
            { value: AUTOMATIC, label: words.automatic(automatic) },
            ...BITRATES.map((bitrate) => ({ value: String(bitrate), label: bitrateWords(bitrate * 1_000) })),
          ]}
          onChoose={(text) => { studio.choose({ bitrate: find(BITRATES, text) ?? null }); }}
        />
        <Select
          label={words.preference}
          value={settings.preference}
          choices={PREFERENCES.map((preference) => ({ value: preference, label: words.preferences[preference] }))}
          onChoose={(text) => { studio.choose({ preference: find(PREFERENCES, text) ?? settings.preference }); }}
        />
      </div>
    </Card>
  );
}
