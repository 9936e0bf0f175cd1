import { Button } from '@/shell/Button';
import { strings } from '@/strings';

import styles from './Player.module.css';
import type { PlayerState } from './state';

interface Words {
  readonly title: string;
  readonly hint: string;
}

interface Props {
  readonly player: PlayerState;
  readonly title: string | null;
  readonly onRetry: () => void;
}

/** The state in words, over the picture and for screen readers. While live, for screen readers only. */
export function Notice({ player, title, onRetry }: Props) {
  const words = noticeWords(player, title ?? strings.product);
  const { phase } = player;
  return (
    <div className={styles.notice}>
      <div role="status" className={styles.words}>
        {words === null ? (
          <p className="visuallyHidden">{strings.watch.phase.live}</p>
        ) : (
          <>
            {(phase === 'connecting' || phase === 'reconnecting') && <span className={styles.pulse} />}
            <p className={styles.noticeTitle}>{words.title}</p>
            {words.hint !== '' && <p className={styles.noticeHint}>{words.hint}</p>}
          </>
        )}
      </div>
      {phase === 'failed' && <Button onClick={onRetry}>{strings.watch.retry}</Button>}
    </div>
  );
}

function noticeWords({ phase, failure }: PlayerState, title: string): Words | null {
  const words = strings.watch.notice;
  switch (phase) {
    case 'live':
      return null;
    case 'connecting':
      return words.connecting;
    case 'reconnecting':
      return words.reconnecting;
    case 'offline':
      return { title: words.offline.title(title), hint: words.offline.hint };
    case 'ended':
      return words.ended;
    case 'failed':
      return words.failed[failure ?? 'network'];
  }
}
