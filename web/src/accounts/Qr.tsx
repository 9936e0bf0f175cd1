import { encode } from 'uqr';

import styles from './Qr.module.css';

/** A text as QR code: one path, so that nothing but this page is asked. */
export function Qr({ text, label }: { readonly text: string; readonly label: string }) {
  const { data, size } = encode(text, { border: 4 });
  return (
    <svg className={styles.qr} viewBox={`0 0 ${size} ${size}`} role="img" aria-label={label} shapeRendering="crispEdges">
      <rect className={styles.paper} width={size} height={size} />
      <path className={styles.ink} d={pathOf(data)} />
    </svg>
  );
}

/** One square for each dark module, as a path. */
export function pathOf(rows: readonly (readonly boolean[])[]): string {
  return rows.map((row, y) => row.map((dark, x) => (dark ? `M${x} ${y}h1v1h-1z` : '')).join('')).join('');
}
