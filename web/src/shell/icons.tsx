const PATHS = {
  camera: 'M4 7.500A1.500 1.500 0 0 1 5.500 6h8A1.500 1.500 0 0 1 15 7.500v2.700l5-3v9.600l-5-3v2.700A1.500 1.500 0 0 1 13.500 18h-8A1.500 1.500 0 0 1 4 16.500z',
  screen: 'M3 5h18v12h-7v2h3v2H7v-2h3v-2H3zm2 2v8h14V7z',
  pattern: 'M3 5h18v14H3zm2 2v6h2V7zm4 0v6h2V7zm4 0v6h2V7zm4 0v6h2V7zM5 15v2h14v-2z',
  microphone: 'M12 3a3 3 0 0 1 3 3v5a3 3 0 0 1-6 0V6a3 3 0 0 1 3-3zM6 11a6 6 0 0 0 5 5.900V20H8v2h8v-2h-3v-3.100A6 6 0 0 0 18 11h-2a4 4 0 0 1-8 0z',
  microphoneOff: 'M15 10.200V6a3 3 0 0 0-5.800-1zM9 9.800V11a3 3 0 0 0 4.300 2.700zM3.400 2L2 3.400 18.600 20l1.400-1.400zM6 11a6 6 0 0 0 5 5.900V20H8v2h8v-2h-3v-3.100q1-.150 1.900-.600L13.400 14.800A4 4 0 0 1 8 11zm10 0q0 .600-.150 1.150l1.500 1.500A6 6 0 0 0 18 11z',
  out: 'M14 4h6v6h-2V7.400l-7.300 7.300-1.400-1.400L16.600 6H14zM5 6h5v2H6v10h10v-4h2v5a1 1 0 0 1-1 1H5a1 1 0 0 1-1-1V7a1 1 0 0 1 1-1z',
  copy: 'M8 3h11a1 1 0 0 1 1 1v12h-2V5H8zM5 7h9a1 1 0 0 1 1 1v12a1 1 0 0 1-1 1H5a1 1 0 0 1-1-1V8a1 1 0 0 1 1-1zm1 2v10h7V9z',
  done: 'M9.500 17.500L4 12l1.500-1.500 4 4 9-9L20 7z',
  person: 'M12 3a4.500 4.500 0 1 1 0 9 4.500 4.500 0 0 1 0-9zm0 2a2.500 2.500 0 1 0 0 5 2.500 2.500 0 0 0 0-5zM12 13.500c4.500 0 8 2.600 8 6V21H4v-1.500c0-3.400 3.500-6 8-6zm0 2c-3 0-5.300 1.500-5.900 3.500h11.800c-.600-2-2.900-3.500-5.900-3.500z',
  warning: 'M12 3l10 18H2zm0 4.100L5.400 19h13.200zM11 11h2v4h-2zm0 5h2v2h-2z',
} as const;

export type IconName = keyof typeof PATHS;

/** A sign without words; whoever uses it gives the words. */
export function Icon({ name, className }: { readonly name: IconName; readonly className?: string | undefined }) {
  return (
    <svg className={className} viewBox="0 0 24 24" width="20" height="20" fill="currentColor" aria-hidden="true">
      <path d={PATHS[name]} fillRule="evenodd" />
    </svg>
  );
}
