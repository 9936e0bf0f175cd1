'use client';

import { useEffect, useRef } from 'react';

import { Button } from '@/shell/Button';
import { strings } from '@/strings';

import { isOn } from '../publish';
import type { Studio, StudioView } from '../studio';
import { SourcePicker } from './SourcePicker';
import styles from './Stage.module.css';

const words = strings.studio;

interface Props {
  readonly studio: Studio;
  readonly view: StudioView;
}

/** The preview: what is sent, or why there is nothing. */
export function Stage({ studio, view }: Props) {
  const video = useRef<HTMLVideoElement>(null);
  const track = studio.preview();

  useEffect(() => {
    const element = video.current;
    if (element === null) return;
    element.srcObject = track === null ? null : new MediaStream([track]);
    if (track !== null) element.play().catch(() => undefined);
  }, [track]);

  return (
    <section className={styles.stage} aria-label={words.stage.label} data-picture={view.sources.picture.is}>
      {/* One's own picture, without sound. */}
      <video ref={video} className={styles.video} data-mirrored={view.settings.mirrored} muted playsInline aria-label={words.stage.label} />
      <Overlay studio={studio} view={view} />
    </section>
  );
}

function Overlay({ studio, view }: Props) {
  const { picture } = view.sources;
  const { source } = view.settings;
  if (view.waitsForScreen) {
    return <Notice title={words.stage.screenResume} hint={words.stage.screenResumeHint} action={words.stage.screenAgain} act={() => void studio.openPicture()} />;
  }
  if (source === null) return <SourcePicker studio={studio} />;
  switch (picture.is) {
    case 'running':
      return null;
    case 'opening':
      return <Notice title={words.stage.opening} hint={words.stage.openingHint} />;
    case 'off':
      return <Notice title={words.refusal.screen.dismissed.title} hint="" action={words.stage.screenAgain} act={() => void studio.openPicture()} />;
    case 'refused': {
      const wanted = source === 'pattern' ? 'camera' : source;
      const said = words.refusal[wanted][picture.refusal];
      return <Notice title={said.title} hint={said.hint} action={words.stage.retry} act={() => void studio.openPicture()} />;
    }
    case 'lost': {
      const said = (isOn(view.publish) ? words.stage.lost : words.stage.lostQuietly)[source];
      const action = source === 'screen' ? words.stage.screenAgain : words.stage.retry;
      return <Notice title={said.title} hint={said.hint} action={action} act={() => void studio.openPicture()} />;
    }
  }
}

interface NoticeProps {
  readonly title: string;
  readonly hint: string;
  readonly action?: string;
  readonly act?: () => void;
}

function Notice({ title, hint, action, act }: NoticeProps) {
  return (
    <div className={styles.notice}>
      <div role="status" className={styles.words}>
        <p className={styles.title}>{title}</p>
        {hint !== '' && <p className={styles.hint}>{hint}</p>}
      </div>
      {action !== undefined && <Button onClick={act}>{action}</Button>}
    </div>
  );
}
