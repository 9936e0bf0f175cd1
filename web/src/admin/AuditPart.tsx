'use client';

import { useCallback, useState, type SyntheticEvent } from 'react';

import { detailWords, fetchAudit, type AuditFilter, type Entry } from '@/api/audit';
import { Button } from '@/shell/Button';
import { Card } from '@/shell/fields';
import { TextField } from '@/shell/form';
import formStyles from '@/shell/form.module.css';
import { List, Row } from '@/shell/List';
import { dateTime } from '@/shell/time';
import { usePages } from '@/shell/usePages';
import { admin } from '@/strings/admin';

const words = admin.audit;
const nothing: AuditFilter = { actor: '', action: '', channel: '', since: '', until: '' };

/** What was done, with filters. */
export function AuditPart() {
  const [filter, setFilter] = useState<AuditFilter>(nothing);
  const entries = usePages(useCallback((cursor: string | null, signal: AbortSignal) => fetchAudit(filter, cursor, signal), [filter]));
  return (
    <Card title={words.title} hint={words.hint}>
      <Filter onFilter={setFilter} />
      <List pages={entries} none={admin.noneFound} failed={admin.failed}>
        {(entry) => <Row key={entry.id} name={entry.action} facts={factsOf(entry)} />}
      </List>
    </Card>
  );
}

/** Filters are used at once when asked for, so that half a word finds nothing by mistake. */
function Filter({ onFilter }: { readonly onFilter: (filter: AuditFilter) => void }) {
  const [wish, setWish] = useState<AuditFilter>(nothing);
  const change = (part: Partial<AuditFilter>): void => { setWish({ ...wish, ...part }); };
  const send = (event: SyntheticEvent): void => {
    event.preventDefault();
    onFilter({ ...wish, actor: wish.actor.trim(), action: wish.action.trim(), channel: wish.channel.trim() });
  };
  return (
    <form className={formStyles.row} role="search" onSubmit={send} noValidate>
      <TextField label={words.actor} code placeholder={words.actorHint} value={wish.actor} onText={(actor) => { change({ actor }); }} />
      <TextField label={words.action} code placeholder={words.actionHint} value={wish.action} onText={(action) => { change({ action }); }} />
      <TextField label={words.channel} code value={wish.channel} onText={(channel) => { change({ channel }); }} />
      <TextField label={words.since} type="date" value={wish.since} onText={(since) => { change({ since }); }} />
      <TextField label={words.until} type="date" value={wish.until} onText={(until) => { change({ until }); }} />
      <Button type="submit" kind="quiet">
        {admin.filter}
      </Button>
    </form>
  );
}

function factsOf({ at, actor, actorKind, channel, address, objectKind, objectId, details }: Entry): string {
  const who = actorKind === 'system' ? words.system : actor;
  const more = detailWords(details);
  const facts = [dateTime(at), who, channel, address, `${objectKind} ${objectId}`, more === '' ? null : more];
  return facts.filter((fact) => fact !== null).join(' · ');
}
