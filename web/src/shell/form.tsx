'use client';

import { useEffect, useId, useRef, useState, type InputHTMLAttributes, type ReactNode, type SyntheticEvent } from 'react';

import { Button } from './Button';
import { Copy } from './Copy';
import { Select } from './fields';
import styles from './form.module.css';
import type { Deed } from './useDeed';

interface FieldProps extends Omit<InputHTMLAttributes<HTMLInputElement>, 'onChange' | 'value'> {
  readonly label: string;
  readonly value: string;
  readonly onText: (text: string) => void;
  readonly hint?: string;
  /** What is entered is a secret, a code or an address: no capitals, no spelling. */
  readonly code?: boolean;
}

/** One line of text, with its name. */
export function TextField({ label, value, onText, hint, code = false, ...input }: FieldProps) {
  const id = useId();
  const exact = code ? { autoCapitalize: 'off', autoCorrect: 'off', spellCheck: false } : {};
  return (
    <div className={styles.field}>
      <label className={styles.label} htmlFor={id}>
        {label}
      </label>
      <input
        type="text"
        {...exact}
        {...input}
        className={styles.input}
        id={id}
        value={value}
        data-code={code}
        aria-describedby={hint === undefined ? undefined : `${id}-hint`}
        onChange={(event) => { onText(event.target.value); }}
      />
      {hint !== undefined && (
        <p className={styles.hint} id={`${id}-hint`}>
          {hint}
        </p>
      )}
    </div>
  );
}

interface FormProps {
  readonly deed: Deed;
  readonly onSubmit: () => void;
  readonly submit: string;
  readonly kind?: 'prominent' | 'quiet' | 'danger';
  readonly children: ReactNode;
  /** More to do, beside the button. */
  readonly more?: ReactNode;
  readonly label?: string;
}

/** Fields, one button, and one line that says what came of it. */
export function Form({ deed, onSubmit, submit, kind = 'prominent', children, more, label }: FormProps) {
  const send = (event: SyntheticEvent): void => {
    event.preventDefault();
    if (!deed.busy) onSubmit();
  };
  return (
    <form className={styles.form} onSubmit={send} noValidate aria-label={label}>
      {children}
      <Said deed={deed} />
      <div className={styles.row}>
        <Button type="submit" kind={kind} disabled={deed.busy}>
          {submit}
        </Button>
        {more}
      </div>
    </form>
  );
}

/** What came of a deed: the problem, or that it is done. */
export function Said({ deed }: { readonly deed: Deed }) {
  return (
    <div>
      <p className={styles.said} data-kind={deed.problem === null ? 'done' : 'problem'} role="alert">
        {deed.problem ?? ''}
        {deed.problem === null && deed.done !== null && <span>{deed.done}</span>}
      </p>
    </div>
  );
}

interface SecretProps {
  readonly secret: string;
  readonly once: string;
  readonly what: string;
  readonly done: string;
  readonly show: string;
  readonly hide: string;
  readonly onDone: () => void;
}

/** A secret that is told this once, hidden until asked for. */
export function Secret({ secret, once, what, done, show, hide, onDone }: SecretProps) {
  const [shown, setShown] = useState(false);
  const box = useRef<HTMLDivElement>(null);
  // What was asked from is gone, and the focus with it.
  useEffect(() => { box.current?.focus(); }, []);
  return (
    <div ref={box} className={styles.secret} tabIndex={-1}>
      <p role="status">{once}</p>
      <div className={styles.values}>
        <code className={styles.code} data-secret={what}>
          {shown ? secret : '•'.repeat(24)}
        </code>
        <Button kind="quiet" aria-pressed={shown} onClick={() => { setShown(!shown); }}>
          {shown ? hide : show}
        </Button>
        <Copy text={secret} what={what} />
        <Button kind="quiet" onClick={onDone}>
          {done}
        </Button>
      </div>
    </div>
  );
}

interface MenuProps<T extends string> {
  readonly label: string;
  readonly value: T;
  readonly names: Readonly<Record<T, string>>;
  readonly order: readonly T[];
  readonly onChoose: (value: T) => void;
  readonly disabled?: boolean;
  /** Its name is for screen readers alone: what stands beside it says it. */
  readonly bare?: boolean;
}

/** A menu of words that have names. */
export function Menu<T extends string>({ label, value, names, order, onChoose, disabled = false, bare = false }: MenuProps<T>) {
  const choose = (text: string): void => {
    const chosen = order.find((one) => one === text);
    if (chosen !== undefined) onChoose(chosen);
  };
  return (
    <div className={styles.menu}>
      <Select label={label} value={value} choices={order.map((one) => ({ value: one, label: names[one] }))} disabled={disabled} bare={bare} onChoose={choose} />
    </div>
  );
}
