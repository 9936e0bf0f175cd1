'use client';

import { useEffect, useId, useRef } from 'react';

import { Button } from './Button';
import styles from './Confirm.module.css';

interface Props {
  readonly title: string;
  readonly hint: string;
  /** The words that keep everything as it is. */
  readonly keep: string;
  readonly confirm: string;
  readonly onKeep: () => void;
  readonly onConfirm: () => void;
}

/** Asks before something that cannot be taken back. The safe answer has the focus; Escape gives it. */
export function Confirm({ title, hint, keep, confirm, onKeep, onConfirm }: Props) {
  const dialog = useRef<HTMLDialogElement>(null);
  const name = useId();
  const description = useId();

  useEffect(() => {
    dialog.current?.showModal();
  }, []);

  return (
    <dialog ref={dialog} className={styles.dialog} aria-labelledby={name} aria-describedby={description} onClose={onKeep}>
      <h2 className={styles.title} id={name}>
        {title}
      </h2>
      <p className={styles.hint} id={description}>
        {hint}
      </p>
      <div className={styles.actions}>
        {/* The element's own way to close tells `onClose`. */}
        <Button kind="quiet" onClick={() => dialog.current?.close()}>
          {keep}
        </Button>
        <Button kind="danger" onClick={onConfirm}>
          {confirm}
        </Button>
      </div>
    </dialog>
  );
}
