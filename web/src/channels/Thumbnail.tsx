'use client';

import { useState } from 'react';

import type { Channel } from '@/api/channels';
import { thumbnailUrl } from '@/api/live';
import { strings } from '@/strings';

import styles from './ChannelList.module.css';
import { useVersion } from './useVersion';

/** What a live channel shows now. Where there is no picture, the frame around it stays as it is. */
export function Thumbnail({ channel }: { readonly channel: Channel }) {
  const src = thumbnailUrl(channel.name, useVersion());
  const [missing, setMissing] = useState<string | null>(null);
  if (missing === src) return null;
  return (
    <img
      className={styles.thumbnail}
      src={src}
      alt={strings.landing.picture(channel.title)}
      width={640}
      height={360}
      loading="lazy"
      decoding="async"
      onError={() => {
        setMissing(src);
      }}
    />
  );
}
