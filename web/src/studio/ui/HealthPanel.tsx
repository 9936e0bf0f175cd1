import { bitrateWords } from '@/player/words';
import { strings } from '@/strings';

import type { Health } from '../health';
import type { StudioView } from '../studio';
import { healthWords, sentWords, shareWords } from '../words';
import { Card } from '@/shell/fields';
import styles from './Panels.module.css';

const words = strings.studio.health;

/** How well the broadcast leaves this computer. Keeps its shape while there is nothing to tell. */
export function HealthPanel({ view }: { readonly view: StudioView }) {
  const { health } = view;
  const isLive = view.publish.phase === 'live';
  const grade = isLive ? (health?.grade ?? null) : null;
  const sentence = health === null || !isLive ? (isLive ? words.measuring : words.waiting) : healthWords(health);
  return (
    <Card
      title={words.title}
      aside={
        <span className={styles.grade} data-grade={grade ?? 'none'}>
          {grade === null ? words.unknown : words.grade[grade]}
        </span>
      }
    >
      <p className={styles.summaryWords}>{sentence}</p>
      {/* Told when the verdict changes, not with every figure. */}
      <p className="visuallyHidden" role="status">
        {grade === null ? '' : `${words.title}: ${words.grade[grade]}. ${sentence}`}
      </p>
      <dl className={styles.figures} data-known={isLive}>
        {figures(isLive ? health : null).map(([name, value]) => (
          <div key={name} className={styles.figure}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
    </Card>
  );
}

function figures(health: Health | null): readonly (readonly [string, string])[] {
  const when = (value: (known: Health) => string): string => (health === null ? words.unknown : value(health));
  return [
    [words.bitrate, when(({ bitsPerSecond }) => bitrateWords(bitsPerSecond))],
    [words.loss, when(({ lossShare }) => shareWords(lossShare))],
    [words.roundTrip, when(({ roundTripMs }) => (roundTripMs === null ? words.unknown : words.milliseconds(roundTripMs)))],
    [words.frameRate, when(({ framesPerSecond }) => words.perSecond(Math.round(framesPerSecond)))],
    [words.dropped, when(({ framesDropped, framesEncoded }) => words.droppedOf(framesDropped.toLocaleString(), (framesDropped + framesEncoded).toLocaleString()))],
    [words.limit, when(({ limitedBy }) => words.limits[limitedBy])],
    [words.size, when(sentWords)],
  ];
}
