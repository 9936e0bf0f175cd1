import styles from './Parts.module.css';

interface Props<T extends string> {
  readonly label: string;
  readonly parts: readonly T[];
  readonly names: Readonly<Record<T, string>>;
  readonly current: T;
}

/** The parts of a page that are shown one at a time: links, so that each has an address and Back works. */
export function Parts<T extends string>({ label, parts, names, current }: Props<T>) {
  return (
    <nav className={styles.parts} aria-label={label}>
      {parts.map((part) => (
        <a key={part} className={styles.part} href={`#${part}`} aria-current={part === current ? 'page' : undefined}>
          {names[part]}
        </a>
      ))}
    </nav>
  );
}
