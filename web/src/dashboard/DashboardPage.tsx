'use client';

import { useState } from 'react';

import { Gate } from '@/accounts/Gate';
import gateStyles from '@/accounts/Gate.module.css';
import { isChannelName } from '@/api/channels';
import { may, type Me, type Membership } from '@/api/me';
import { makeChannel } from '@/api/settings';
import { useLiveState } from '@/channels/useLiveState';
import { Card } from '@/shell/fields';
import { Form, TextField } from '@/shell/form';
import formStyles from '@/shell/form.module.css';
import { Badge, Row } from '@/shell/List';
import listStyles from '@/shell/list.module.css';
import { Message } from '@/shell/Message';
import { useDeed } from '@/shell/useDeed';
import { strings } from '@/strings';
import { dashboard } from '@/strings/dashboard';

const words = dashboard;

/** One's own channels, and the way to make one. */
export function DashboardPage() {
  return (
    <Gate title={words.title} place="dashboard">
      {(me) => (
        <>
          <h1 className={gateStyles.title}>{words.title}</h1>
          <Mine me={me} />
          {may(me, 'channel.create') && <Create />}
        </>
      )}
    </Gate>
  );
}

function Mine({ me }: { readonly me: Me }) {
  if (me.channels.length === 0) {
    const canMake = may(me, 'channel.create');
    if (me.kind === 'token') return <p className={formStyles.quiet}>{words.byToken}</p>;
    return <Message title={canMake ? words.none : words.noneViewer} hint={canMake ? words.noneHint : words.noneViewerHint} />;
  }
  return (
    <Card title={words.mine}>
      <ul className={listStyles.rows}>
        {me.channels.map((membership) => (
          <Mined key={membership.channel} membership={membership} />
        ))}
      </ul>
    </Card>
  );
}

function Mined({ membership: { channel, role } }: { readonly membership: Membership }) {
  const state = useLiveState(channel);
  const said = { unknown: '', live: strings.landing.live, reconnecting: strings.landing.reconnecting, notLive: strings.landing.notLive, unreachable: strings.landing.unknown }[state];
  return (
    <Row name={<a href={`/dashboard/${channel}`}>{channel}</a>} facts={memberRoleWords(role)}>
      {said !== '' && <Badge state={state}>{said}</Badge>}
    </Row>
  );
}

/** The name of a role in a channel. */
export function memberRoleWords(role: string): string {
  const names: Readonly<Record<string, string>> = words.roles;
  return names[role] ?? role;
}

function Create() {
  const deed = useDeed();
  const [name, setName] = useState('');
  const [title, setTitle] = useState('');
  const make = (): void => {
    const address = name.trim();
    if (!isChannelName(address)) {
      deed.refuse(words.create.bad);
      return;
    }
    deed.run(async (signal) => {
      await makeChannel(address, title.trim(), signal);
      window.location.assign(`/dashboard/${address}#keys`);
    });
  };
  return (
    <Card title={words.create.title}>
      <Form deed={deed} onSubmit={make} submit={words.create.submit} label={words.create.title}>
        <TextField label={words.create.name} hint={words.create.nameHint} code maxLength={64} value={name} onText={setName} />
        <TextField label={words.create.channelTitle} hint={words.create.titleHint} maxLength={200} value={title} onText={setTitle} />
      </Form>
    </Card>
  );
}
