import { useId } from 'react';

import { Button } from '@/shell/Button';
import { strings } from '@/strings';

import { GAIN_MAX, isMusic } from '../settings';
import type { Studio, StudioView } from '../studio';
import { Card, Select, Switch } from '@/shell/fields';
import { Icon } from '@/shell/icons';
import { Meter } from './Meter';
import styles from './Panels.module.css';
import { deviceChoices } from './PicturePanel';

const words = strings.studio.sound;
const refusals = strings.studio.refusal.microphone;
const ANY = '';
const NONE = 'none';

interface Props {
  readonly studio: Studio;
  readonly view: StudioView;
}

/** What viewers hear. */
export function SoundPanel({ studio, view }: Props) {
  const { settings, sources } = view;
  const withMicrophone = settings.withMicrophone === true;
  return (
    <Card title={words.title}>
      {sources.soundHeld && <Told title={words.held} hint={sources.microphone.is === 'running' ? words.heldWithMicrophone : words.heldHint} action={words.heldButton} act={() => { studio.touched(); }} />}
      <Select
        label={words.microphone}
        value={withMicrophone ? (settings.microphone ?? sources.microphoneInUse ?? ANY) : NONE}
        choices={[{ value: NONE, label: words.none }, ...deviceChoices(sources.devices.microphones, words.anyDevice)]}
        onChoose={(id) => { studio.choose(id === NONE ? { withMicrophone: false } : { withMicrophone: true, microphone: id === ANY ? null : id }); }}
      />
      {withMicrophone && <Microphone studio={studio} view={view} />}
      {settings.source === 'screen' && <System studio={studio} view={view} />}
      {settings.source === 'pattern' && <Switch label={words.beep} on={settings.beep} onSwitch={(beep) => { studio.choose({ beep }); }} />}
      <div className={styles.meters}>
        {withMicrophone && <Meter studio={studio} of="microphone" />}
        {sources.systemSound.is === 'running' && <Meter studio={studio} of="system" />}
        <Meter studio={studio} of="all" />
      </div>
    </Card>
  );
}

function Microphone({ studio, view }: Props) {
  const { settings, sources } = view;
  const { microphone } = sources;
  const again = (): void => { studio.openMicrophone(); };
  return (
    <>
      {microphone.is === 'refused' && <Told {...refusals[microphone.refusal]} action={strings.studio.stage.retry} act={again} />}
      {microphone.is === 'lost' && <Told {...words.lost} action={strings.studio.stage.retry} act={again} />}
      <Gain studio={studio} view={view} />
      <Switch
        label={words.music}
        hint={words.musicHint}
        on={isMusic(settings)}
        onSwitch={(on) => { studio.choose({ processing: { echo: !on, noise: !on, gain: !on } }); }}
      />
      <details className={styles.details}>
        <summary className={styles.summary}>{words.cleaning}</summary>
        <Processing studio={studio} view={view} />
      </details>
    </>
  );
}

function Processing({ studio, view }: Props) {
  const { processing } = view.settings;
  return (
    <div className={styles.detailsBody}>
      <Switch label={words.echo} on={processing.echo} onSwitch={(echo) => { studio.choose({ processing: { ...processing, echo } }); }} />
      <Switch label={words.noise} on={processing.noise} onSwitch={(noise) => { studio.choose({ processing: { ...processing, noise } }); }} />
      <Switch label={words.autoGain} on={processing.gain} onSwitch={(gain) => { studio.choose({ processing: { ...processing, gain } }); }} />
    </div>
  );
}

function Gain({ studio, view }: Props) {
  const { gain, muted } = view.settings;
  const id = useId();
  return (
    <div className={styles.gain}>
      <button
        type="button"
        className={styles.mute}
        aria-pressed={muted}
        title={muted ? words.unmute : words.mute}
        aria-label={words.mute}
        onClick={() => { studio.choose({ muted: !muted }); }}
      >
        <Icon name={muted ? 'microphoneOff' : 'microphone'} />
      </button>
      <label className="visuallyHidden" htmlFor={id}>
        {words.gain}
      </label>
      <input
        className={styles.range}
        id={id}
        type="range"
        min={0}
        max={GAIN_MAX}
        step={0.05}
        value={gain}
        disabled={muted}
        aria-valuetext={words.percent(Math.round(gain * 100))}
        onChange={(event) => { studio.choose({ gain: event.target.valueAsNumber }); }}
      />
      <span className={styles.gainValue} aria-hidden="true">
        {muted ? words.muted : words.percent(Math.round(gain * 100))}
      </span>
    </div>
  );
}

function System({ studio, view }: Props) {
  const given = view.sources.systemSound.is === 'running';
  const asked = view.sources.picture.is === 'running' && !given && view.settings.systemSound;
  return (
    <Switch
      label={words.system}
      {...(asked ? { hint: words.systemOff } : {})}
      on={view.settings.systemSound}
      onSwitch={(systemSound) => { studio.choose({ systemSound }); }}
    />
  );
}

interface ToldProps {
  readonly title: string;
  readonly hint: string;
  readonly action: string;
  readonly act: () => void;
}

/** Something that wants the streamer's hand. */
function Told({ title, hint, action, act }: ToldProps) {
  return (
    <div className={styles.told}>
      <div role="status">
        <p className={styles.toldTitle}>{title}</p>
        <p className={styles.toldHint}>{hint}</p>
      </div>
      <Button kind="quiet" onClick={act}>
        {action}
      </Button>
    </div>
  );
}
