'use client';

import { useCallback, useState } from 'react';

import { deleteChannel, fetchSettings, saveSettings, type Versioned } from '@/api/settings';
import { Button } from '@/shell/Button';
import { Confirm } from '@/shell/Confirm';
import { Card, Switch } from '@/shell/fields';
import { Form, Menu, Said, TextField } from '@/shell/form';
import { useAnswer } from '@/shell/useAnswer';
import { useDeed } from '@/shell/useDeed';
import { accounts } from '@/strings/accounts';
import { dashboard } from '@/strings/dashboard';

import styles from './Channel.module.css';
import { draftOf, settingsOf, type Draft } from './draft';
import { LadderFields } from './LadderFields';
import { SlateCard } from './SlateCard';

const words = dashboard.settings;
const PROFILES = ['ultra', 'low', 'relaxed', 'classic'] as const;
const ACCESSES = ['public', 'unlisted', 'members'] as const;
const SECONDS = ['replace', 'refuse'] as const;

interface Props {
  readonly channel: string;
  readonly canDelete: boolean;
}

/** Everything that can be set on a channel. */
export function SettingsPart({ channel, canDelete }: Props) {
  const found = useAnswer(useCallback((signal: AbortSignal) => fetchSettings(channel, signal), [channel]));
  if (found.value === null) {
    return (
      <p className={styles.waiting} role="status">
        {found.error === null ? accounts.loading : dashboard.failed}
      </p>
    );
  }
  return (
    <div className={styles.columns}>
      <SettingsCard channel={channel} found={found.value} />
      <div className={styles.side}>
        <SlateCard channel={channel} hasSlate={found.value.settings.hasSlate} load={found.load} />
        {canDelete && <DeleteCard channel={channel} />}
      </div>
    </div>
  );
}

function SettingsCard({ channel, found }: { readonly channel: string; readonly found: Versioned }) {
  const deed = useDeed();
  const [base, setBase] = useState(found);
  const [draft, setDraft] = useState<Draft>(() => draftOf(found.settings));
  const change = (part: Partial<Draft>): void => { setDraft({ ...draft, ...part }); };
  const save = (): void => {
    const settings = settingsOf(draft, base.settings);
    if (typeof settings === 'string') {
      deed.refuse(settings);
      return;
    }
    deed.run(async (signal) => {
      const saved = await saveSettings(channel, settings, base.version, signal);
      setBase(saved);
      setDraft(draftOf(saved.settings));
    }, accounts.saved);
  };
  return (
    <Card title={words.title} hint={words.hint}>
      <Form deed={deed} onSubmit={save} submit={accounts.save} label={words.title}>
        <TextField label={words.channelTitle} maxLength={200} value={draft.title} onText={(title) => { change({ title }); }} />
        <Menus draft={draft} change={change} />
        <div className={styles.pair}>
          <TextField label={words.frameRate} hint={words.frameRateHint} inputMode="numeric" value={draft.frameRate} onText={(frameRate) => { change({ frameRate }); }} />
          <TextField label={words.grace} hint={words.graceHint} inputMode="numeric" value={draft.graceS} onText={(graceS) => { change({ graceS }); }} />
          <TextField label={words.dvr} hint={words.dvrHint} inputMode="numeric" value={draft.dvrMinutes} onText={(dvrMinutes) => { change({ dvrMinutes }); }} />
        </div>
        <Switch label={words.passthrough} hint={words.passthroughHint} on={draft.passthrough} onSwitch={(passthrough) => { change({ passthrough }); }} />
        <LadderFields draft={draft} change={change} />
      </Form>
    </Card>
  );
}

function Menus({ draft, change }: { readonly draft: Draft; readonly change: (part: Partial<Draft>) => void }) {
  const { access } = draft;
  return (
    <div className={styles.pair}>
      <Menu
        label={words.profile}
        value={PROFILES.find((one) => one === draft.profile) ?? 'low'}
        names={words.profiles}
        order={PROFILES}
        onChoose={(profile) => { change({ profile }); }}
      />
      <Menu
        label={words.second}
        value={SECONDS.find((one) => one === draft.secondPublisher) ?? 'replace'}
        names={words.seconds}
        order={SECONDS}
        onChoose={(secondPublisher) => { change({ secondPublisher }); }}
      />
      {access !== null && (
        <Menu
          label={words.access}
          value={ACCESSES.find((one) => one === access) ?? 'public'}
          names={words.accesses}
          order={ACCESSES}
          onChoose={(chosen) => { change({ access: chosen }); }}
        />
      )}
    </div>
  );
}

function DeleteCard({ channel }: { readonly channel: string }) {
  const deed = useDeed();
  const [asked, setAsked] = useState(false);
  const remove = (): void => {
    setAsked(false);
    deed.run(async (signal) => {
      await deleteChannel(channel, signal);
      window.location.assign('/dashboard');
    });
  };
  return (
    <Card title={words.delete} hint={words.deleteHint}>
      <div>
        <Button kind="danger" disabled={deed.busy} onClick={() => { setAsked(true); }}>
          {words.delete}
        </Button>
      </div>
      <Said deed={deed} />
      {asked && (
        <Confirm
          title={words.deleteTitle(channel)}
          hint={words.deleteHint}
          keep={words.keep}
          confirm={words.deleteNow}
          onKeep={() => { setAsked(false); }}
          onConfirm={remove}
        />
      )}
    </Card>
  );
}
