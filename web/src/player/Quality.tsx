import { strings } from '@/strings';

import styles from './Controls.module.css';
import type { Session } from './session';
import type { View } from './view';
import { levelWords } from './words';

const words = strings.player;
const AUTO = 'auto';

/** The quality menu: the browser's own, so that keys, touch and screen readers know it. */
export function Quality({ session, view }: { readonly session: Session; readonly view: View }) {
  const { levels, playingLevel, chosenLevel } = view;
  const onScreen = levels.find(({ index }) => index === playingLevel);
  const auto = onScreen !== undefined && onScreen.height > 0 ? words.autoAt(`${onScreen.height}p`) : words.auto;
  return (
    <select
      className={styles.quality}
      aria-label={words.quality}
      title={words.quality}
      disabled={levels.length === 0}
      value={chosenLevel === null ? AUTO : String(chosenLevel)}
      onChange={({ target }) => { session.choose(target.value === AUTO ? null : Number(target.value)); }}
    >
      <option value={AUTO}>{chosenLevel === null ? auto : words.auto}</option>
      {levels.map((level) => (
        <option key={level.index} value={level.index}>
          {levelWords(level)}
        </option>
      ))}
    </select>
  );
}
