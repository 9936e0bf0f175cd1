import type { ReactNode } from 'react';

import styles from './Message.module.css';

interface Props {
  readonly heading?: 'h1' | 'h2';
  readonly title: string;
  readonly hint?: string;
  readonly children?: ReactNode;
}

/** A calm word in place of content: nothing here, not found, not reachable. */
export function Message({ heading: Heading = 'h2', title, hint, children }: Props) {
  return (
    <div className={styles.message}>
      <Heading className={styles.title}>{title}</Heading>
      {hint !== undefined && <p className={styles.hint}>{hint}</p>}
      {children !== undefined && <div className={styles.actions}>{children}</div>}
    </div>
  );
}
