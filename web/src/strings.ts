/**
 * Every word that people read. A translation is another object of this shape.
 *
 * Texts with a gap are functions, so that a language may put the gap where it wants it.
 */
export const strings = {
  product: 'Headwater',
  skipToContent: 'Skip to content',
  noScript: 'This page needs JavaScript to play video.',
  separator: ' · ',

  landing: {
    title: 'Channels',
    description: 'Live channels on this server.',
    loading: 'Loading channels…',
    empty: 'There are no channels yet.',
    emptyHint: 'A channel appears here as soon as it is created.',
    failed: 'The list of channels cannot be loaded right now.',
    failedHint: 'Channels that are live play on. Try again in a moment.',
    retry: 'Try again',
    more: 'Show more channels',
    live: 'Live',
    notLive: 'Not live',
    unknown: 'Unknown',
  },

  notFound: {
    title: 'Page not found',
    hint: 'Nothing lives at this address.',
    home: 'See all channels',
  },

  watch: {
    badName: 'There is no such channel.',
    badNameHint: 'Check the address: a channel name has lower-case letters, digits and hyphens.',
    startedAt: (time: string) => `Live since ${time}`,
    phase: {
      connecting: 'Connecting',
      live: 'Live',
      reconnecting: 'Reconnecting',
      offline: 'Not live',
      ended: 'Ended',
      failed: 'Failed',
    },
    notice: {
      connecting: { title: 'Connecting…', hint: '' },
      reconnecting: { title: 'Reconnecting…', hint: 'The connection was interrupted. It goes on by itself.' },
      offline: {
        title: (channel: string) => `${channel} is not live now`,
        hint: 'This page starts by itself when the broadcast begins.',
      },
      ended: {
        title: 'The broadcast has ended',
        hint: 'This page starts by itself when the next one begins.',
      },
      failed: {
        network: { title: 'The stream cannot be reached', hint: 'Check your connection, then try again.' },
        media: { title: 'The stream cannot be played', hint: 'This browser could not decode it.' },
        unsupported: { title: 'This browser cannot play the stream', hint: 'Try a current browser.' },
      },
    },
    retry: 'Try again',
  },

  player: {
    region: 'Video player',
    controls: 'Player controls',
    play: 'Play',
    pause: 'Pause',
    mute: 'Mute',
    unmute: 'Unmute',
    unmuteOffer: 'Tap to unmute',
    startOffer: 'Play',
    volume: 'Volume',
    quality: 'Quality',
    auto: 'Auto',
    autoAt: (level: string) => `Auto (${level})`,
    level: (height: number, bitrate: string) => `${height}p, ${bitrate}`,
    audioOnly: (bitrate: string) => `Audio, ${bitrate}`,
    megabits: (value: string) => `${value} Mbit/s`,
    kilobits: (value: string) => `${value} kbit/s`,
    latency: 'Latency',
    seconds: (value: string) => `${value} s`,
    unknownSeconds: '– s',
    toLive: 'Jump to live',
    liveMark: 'Live',
    fullScreen: 'Full screen',
    leaveFullScreen: 'Leave full screen',
    pictureInPicture: 'Picture in picture',
    leavePictureInPicture: 'Leave picture in picture',
  },
} as const;
