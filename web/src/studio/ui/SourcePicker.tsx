import { strings } from '@/strings';

import { SOURCES, type SourceKind } from '../settings';
import type { Studio } from '../studio';
import { Icon } from '@/shell/icons';
import styles from './Stage.module.css';

const words = strings.studio;
const NAMES: Record<SourceKind, { readonly title: string; readonly hint: string }> = {
  camera: { title: words.source.camera, hint: words.source.cameraHint },
  screen: { title: words.source.screen, hint: words.source.screenHint },
  pattern: { title: words.source.pattern, hint: words.source.patternHint },
};

/** The first choice of a first visit. No device is asked for before it. */
export function SourcePicker({ studio }: { readonly studio: Studio }) {
  return (
    <div className={styles.notice}>
      <div className={styles.words}>
        <p className={styles.title}>{words.stage.choose}</p>
        <p className={styles.hint}>{words.stage.chooseHint}</p>
      </div>
      <div className={styles.picker}>
        {SOURCES.map((source) => (
          <button key={source} type="button" className={styles.pick} onClick={() => { studio.chooseSource(source); }}>
            <Icon name={source} className={styles.pickSign} />
            <span className={styles.pickTitle}>{NAMES[source].title}</span>
            <span className={styles.pickHint}>{NAMES[source].hint}</span>
          </button>
        ))}
      </div>
    </div>
  );
}
