'use client';

import { useCallback, useState } from 'react';

import { factsOf, TokenList } from '@/accounts/TokensCard';
import { endBroadcast, fetchRuns, type Run } from '@/api/broadcasts';
import { fetchChannels, type Channel } from '@/api/channels';
import { may, type Me } from '@/api/me';
import type { Page } from '@/api/page';
import { fetchTokens } from '@/api/tokens';
import { useLiveState } from '@/channels/useLiveState';
import { runWords } from '@/dashboard/ControlRoom';
import { Button } from '@/shell/Button';
import { Confirm } from '@/shell/Confirm';
import { Card } from '@/shell/fields';
import { Said } from '@/shell/form';
import { Badge, List, Row } from '@/shell/List';
import { dateTime } from '@/shell/time';
import { useDeed } from '@/shell/useDeed';
import { usePages } from '@/shell/usePages';
import { strings } from '@/strings';
import { admin } from '@/strings/admin';
import { dashboard } from '@/strings/dashboard';

/** Every channel, with the way to its control room. */
export function ChannelsPart() {
  const channels = usePages(
    useCallback(async (cursor: string | null, signal: AbortSignal): Promise<Page<Channel>> => {
      const { items, nextCursor } = await fetchChannels(cursor, signal);
      return { items, next: nextCursor };
    }, []),
  );
  return (
    <Card title={admin.channels.title}>
      <List pages={channels} none={admin.channels.none} failed={admin.failed}>
        {(channel) => <ChannelRow key={channel.name} channel={channel} />}
      </List>
    </Card>
  );
}

function ChannelRow({ channel: { name, title } }: { readonly channel: Channel }) {
  const state = useLiveState(name);
  const { live, reconnecting, notLive, unknown } = strings.landing;
  const said = { unknown: '', live, reconnecting, notLive, unreachable: unknown }[state];
  return (
    <Row name={<a href={`/dashboard/${name}`}>{title}</a>} facts={name}>
      {said !== '' && <Badge state={state}>{said}</Badge>}
    </Row>
  );
}

/** Every broadcast, newest first, with the way to end those that run. */
export function BroadcastsPart({ me }: { readonly me: Me }) {
  const words = admin.broadcasts;
  const runs = usePages(useCallback((cursor: string | null, signal: AbortSignal) => fetchRuns(null, cursor, signal), []));
  const deed = useDeed();
  const [asked, setAsked] = useState<Run | null>(null);
  const end = (run: Run): void => {
    setAsked(null);
    deed.run(async (signal) => { await endBroadcast(run.id, signal).finally(runs.reload); }, dashboard.live.ending);
  };
  return (
    <Card title={words.title}>
      <List pages={runs} none={words.none} failed={admin.failed}>
        {(run) => (
          <Row key={run.id} name={<a href={`/dashboard/${run.channel}`}>{run.channel}</a>} facts={`${dateTime(run.startedAt)} · ${runWords(run)}`}>
            {isOn(run) && <Badge state={run.state}>{dashboard.live.states[run.state]}</Badge>}
            {isOn(run) && may(me, 'broadcast.end') && (
              <Button kind="danger" aria-label={words.endOf(run.channel)} onClick={() => { setAsked(run); }}>
                {words.end}
              </Button>
            )}
          </Row>
        )}
      </List>
      <Said deed={deed} />
      {asked !== null && (
        <Confirm
          title={dashboard.live.endTitle}
          hint={dashboard.live.endHint}
          keep={dashboard.live.keep}
          confirm={dashboard.live.endNow}
          onKeep={() => { setAsked(null); }}
          onConfirm={() => { end(asked); }}
        />
      )}
    </Card>
  );
}

const isOn = ({ state }: Run): boolean => state === 'live' || state === 'reconnecting';

/** Everybody's API tokens. */
export function TokensPart() {
  const words = admin.tokens;
  const tokens = usePages(useCallback((cursor: string | null, signal: AbortSignal) => fetchTokens('all', cursor, signal), []));
  return (
    <Card title={words.title}>
      <TokenList
        whose="all"
        tokens={tokens}
        none={words.none}
        facts={(token) => `${token.user === null ? words.ofNobody : words.of(token.user)} · ${factsOf(token)}`}
      />
    </Card>
  );
}
