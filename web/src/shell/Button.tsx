import type { ButtonHTMLAttributes } from 'react';

import styles from './Button.module.css';

interface Props extends ButtonHTMLAttributes<HTMLButtonElement> {
  /** `prominent` is the one thing to do in a view; `danger` ends or destroys something. */
  readonly kind?: 'prominent' | 'quiet' | 'danger';
}

/** A button with words. */
export function Button({ kind = 'prominent', ...props }: Props) {
  return <button type="button" {...props} className={styles.button} data-kind={kind} />;
}
