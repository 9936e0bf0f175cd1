import { Button } from '@/shell/Button';
import { Menu, TextField } from '@/shell/form';
import formStyles from '@/shell/form.module.css';
import { dashboard } from '@/strings/dashboard';

import styles from './Channel.module.css';
import { FIRST_RUNGS, type Draft, type RungDraft } from './draft';

const words = dashboard.settings;
const RUNGS_MAX = 8;

interface Props {
  readonly draft: Draft;
  readonly change: (part: Partial<Draft>) => void;
}

/** The ladder: the usual one, or rungs of one's own. */
export function LadderFields({ draft, change }: Props) {
  const { rungs, audio } = draft;
  const edit = (row: number, part: Partial<RungDraft>): void => {
    change({ rungs: (rungs ?? []).map((rung, index) => (index === row ? { ...rung, ...part } : rung)) });
  };
  return (
    <>
      <Menu
        label={words.ladder}
        value={rungs === null ? 'usual' : 'own'}
        names={{ usual: words.usual, own: words.own }}
        order={['usual', 'own']}
        onChoose={(chosen) => { change({ rungs: chosen === 'usual' ? null : FIRST_RUNGS }); }}
      />
      {rungs !== null && (
        <div className={styles.rungs} role="group" aria-label={words.ladder}>
          <p className={formStyles.hint}>{words.ladderHint}</p>
          {rungs.map((rung, row) => (
            // Rungs have no other name than their place.
            <div className={formStyles.row} key={row}>
              <TextField label={words.height(row + 1)} inputMode="numeric" value={rung.height} onText={(height) => { edit(row, { height }); }} />
              <TextField label={words.bitrate(row + 1)} inputMode="numeric" value={rung.bitrate} onText={(bitrate) => { edit(row, { bitrate }); }} />
              <Button kind="quiet" aria-label={words.dropOf(row + 1)} onClick={() => { change({ rungs: rungs.filter((_, index) => index !== row) }); }}>
                {words.drop}
              </Button>
            </div>
          ))}
          <div className={formStyles.row}>
            <Button kind="quiet" disabled={rungs.length >= RUNGS_MAX} onClick={() => { change({ rungs: [...rungs, { height: '', bitrate: '' }] }); }}>
              {words.add}
            </Button>
          </div>
          <TextField label={words.audio} inputMode="numeric" value={audio} onText={(text) => { change({ audio: text }); }} />
        </div>
      )}
    </>
  );
}
