import styles from './Controls.module.css';

const PATHS = {
  play: 'M8 5v14l11-7z',
  pause: 'M7 5h4v14H7zM13 5h4v14h-4z',
  sound: 'M4 9v6h4l5 5V4L8 9zM16 8a5 5 0 0 1 0 8v-2.200a3 3 0 0 0 0-3.600z',
  muted: 'M4 9v6h4l5 5V4L8 9zM15.500 9.900l1.400-1.400 2.100 2.100 2.100-2.100 1.400 1.400-2.100 2.100 2.100 2.100-1.400 1.400-2.100-2.100-2.100 2.100-1.400-1.400 2.100-2.100z',
  enlarge: 'M4 4h7v2H6v5H4zM18 13h2v7h-7v-2h5z',
  shrink: 'M9 4h2v7H4V9h5zM13 13h7v2h-5v5h-2z',
  pictureInPicture: 'M3 5h18v14H3zm2 2v10h14V7zm6 4h7v5h-7z',
} as const;

export type IconName = keyof typeof PATHS;

/** A sign without words; whoever uses it gives the words. */
export function Icon({ name }: { readonly name: IconName }) {
  return (
    <svg className={styles.icon} viewBox="0 0 24 24" aria-hidden="true">
      <path d={PATHS[name]} fillRule="evenodd" />
    </svg>
  );
}
