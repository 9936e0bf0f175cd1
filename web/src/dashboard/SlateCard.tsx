'use client';

import { useId, useRef, useState } from 'react';

import { putSlate, removeSlate, slateUrl } from '@/api/settings';
import { Button } from '@/shell/Button';
import { Card } from '@/shell/fields';
import { Form } from '@/shell/form';
import formStyles from '@/shell/form.module.css';
import { useDeed } from '@/shell/useDeed';
import { accounts } from '@/strings/accounts';
import { dashboard } from '@/strings/dashboard';

import styles from './Channel.module.css';

const words = dashboard.settings;

interface Props {
  readonly channel: string;
  readonly hasSlate: boolean;
  /** Asks for the settings again. */
  readonly load: () => void;
}

/** The picture that viewers see while the publisher is gone. */
export function SlateCard({ channel, hasSlate, load }: Props) {
  const deed = useDeed();
  const field = useRef<HTMLInputElement>(null);
  const [version, setVersion] = useState(0);
  const id = useId();
  const changed = (): void => {
    setVersion(version + 1);
    load();
  };
  const put = (): void => {
    const file = field.current?.files?.[0];
    if (file === undefined) {
      deed.refuse(words.slateNone);
      return;
    }
    deed.run(async (signal) => {
      await putSlate(channel, file, signal);
      if (field.current !== null) field.current.value = '';
      changed();
    }, accounts.saved);
  };
  const remove = (): void => {
    deed.run(async (signal) => {
      await removeSlate(channel, signal);
      changed();
    }, accounts.saved);
  };
  return (
    <Card title={words.slate} hint={words.slateHint}>
      <p>{hasSlate ? words.slateOwn : words.slateUsual}</p>
      {hasSlate && <img className={styles.slate} src={slateUrl(channel, version)} alt={words.slatePicture} />}
      <Form
        deed={deed}
        onSubmit={put}
        submit={words.slateSet}
        kind="quiet"
        label={words.slate}
        more={
          hasSlate && (
            <Button kind="danger" disabled={deed.busy} onClick={remove}>
              {words.slateRemove}
            </Button>
          )
        }
      >
        <div className={formStyles.field}>
          <label className={formStyles.label} htmlFor={id}>
            {words.slateFile}
          </label>
          <input ref={field} className={styles.file} id={id} type="file" accept="image/png,image/jpeg" />
        </div>
      </Form>
    </Card>
  );
}
