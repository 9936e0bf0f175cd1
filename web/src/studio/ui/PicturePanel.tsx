import { Button } from '@/shell/Button';
import { strings } from '@/strings';

import type { Device } from '../devices';
import { SOURCES } from '../settings';
import type { Studio, StudioView } from '../studio';
import { Card, Select, Switch } from '@/shell/fields';
import { Icon } from '@/shell/icons';
import styles from './Panels.module.css';

const words = strings.studio.source;
const ANY = '';

interface Props {
  readonly studio: Studio;
  readonly view: StudioView;
}

/** What viewers see. */
export function PicturePanel({ studio, view }: Props) {
  const { settings, sources } = view;
  return (
    <Card title={words.title}>
      <fieldset className={styles.segments}>
        <legend className="visuallyHidden">{words.label}</legend>
        {SOURCES.map((source) => (
          <label key={source} className={styles.segment} data-chosen={settings.source === source}>
            <input
              className="visuallyHidden"
              type="radio"
              name="source"
              value={source}
              checked={settings.source === source}
              onChange={() => { studio.chooseSource(source); }}
            />
            <Icon name={source} />
            {words.short[source]}
          </label>
        ))}
      </fieldset>
      {settings.source === 'camera' && (
        <Select
          label={words.device}
          value={settings.camera ?? sources.cameraInUse ?? ANY}
          choices={deviceChoices(sources.devices.cameras, words.anyDevice)}
          onChoose={(id) => { studio.choose({ camera: id === ANY ? null : id }); }}
        />
      )}
      {settings.source === 'screen' && (
        <Button kind="quiet" onClick={() => void studio.openPicture()}>
          {words.otherScreen}
        </Button>
      )}
      {settings.source === 'camera' && (
        <Switch label={words.mirrored} hint={words.mirroredHint} on={settings.mirrored} onSwitch={(mirrored) => { studio.choose({ mirrored }); }} />
      )}
    </Card>
  );
}

/** Devices as choices; the browser's own choice first. */
export function deviceChoices(devices: readonly Device[], any: string): { value: string; label: string }[] {
  const named = devices.map(({ id, label }, index) => ({ value: id, label: label === '' ? words.unnamed(index + 1) : label }));
  return [{ value: ANY, label: any }, ...named];
}
