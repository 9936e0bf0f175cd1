import { useId, type ChangeEvent, type ReactNode } from 'react';

import styles from './fields.module.css';

interface Choice {
  readonly value: string;
  readonly label: string;
}

interface SelectProps {
  readonly label: string;
  readonly value: string;
  readonly choices: readonly Choice[];
  readonly onChoose: (value: string) => void;
  readonly disabled?: boolean;
  readonly hint?: string;
  /** Its name is for screen readers alone. */
  readonly bare?: boolean;
}

/** One of several: the browser's own menu, so that keys, touch and screen readers know it. */
export function Select({ label, value, choices, onChoose, disabled = false, hint, bare = false }: SelectProps) {
  const id = useId();
  return (
    <div className={styles.field}>
      <label className={bare ? 'visuallyHidden' : styles.label} htmlFor={id}>
        {label}
      </label>
      <select
        className={styles.select}
        id={id}
        value={value}
        disabled={disabled}
        title={hint}
        onChange={(event: ChangeEvent<HTMLSelectElement>) => { onChoose(event.target.value); }}
      >
        {choices.map((choice) => (
          <option key={choice.value} value={choice.value}>
            {choice.label}
          </option>
        ))}
      </select>
    </div>
  );
}

interface SwitchProps {
  readonly label: string;
  readonly on: boolean;
  readonly onSwitch: (on: boolean) => void;
  readonly hint?: string;
  readonly disabled?: boolean;
}

/** On or off, at once. */
export function Switch({ label, on, onSwitch, hint, disabled = false }: SwitchProps) {
  const id = useId();
  return (
    <div className={styles.switchRow}>
      <label className={styles.switchLabel} htmlFor={id}>
        {label}
        {hint !== undefined && (
          <span className={styles.hint} id={`${id}-hint`}>
            {hint}
          </span>
        )}
      </label>
      <input
        className={styles.switch}
        id={id}
        type="checkbox"
        role="switch"
        checked={on}
        disabled={disabled}
        aria-describedby={hint === undefined ? undefined : `${id}-hint`}
        onChange={(event) => { onSwitch(event.target.checked); }}
      />
    </div>
  );
}

interface CardProps {
  readonly title: string;
  readonly hint?: string;
  readonly aside?: ReactNode;
  readonly children: ReactNode;
  readonly className?: string | undefined;
}

/** One matter of a page, with its name. */
export function Card({ title, hint, aside, children, className = '' }: CardProps) {
  const id = useId();
  return (
    <section className={`${styles.card ?? ''} ${className}`} aria-labelledby={id}>
      <header className={styles.cardHeader}>
        <h2 className={styles.cardTitle} id={id}>
          {title}
        </h2>
        {aside}
      </header>
      {hint !== undefined && <p className={styles.hint}>{hint}</p>}
      {children}
    </section>
  );
}
