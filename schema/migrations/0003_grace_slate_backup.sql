-- How a broadcast goes on without its publisher: the grace, the slate, the second publisher, backup
-- keys. It only adds, so a program that knows 0002 alone runs on beside it. Harmless when repeated.

alter table channels add column if not exists grace_s integer not null default 60
    check (grace_s between 0 and 600);
alter table channels add column if not exists second_publisher text not null default 'replace'
    check (second_publisher in ('replace', 'refuse'));
-- The picture that is shown while there is none of the publisher's; null means the node's own.
alter table channels add column if not exists slate bytea
    check (octet_length(slate) between 1 and 524288);
alter table channels add column if not exists slate_type text
    check (slate_type in ('image/png', 'image/jpeg'))
    check ((slate is null) = (slate_type is null));

alter table stream_keys add column if not exists role text not null default 'primary'
    check (role in ('primary', 'backup'));

-- Of a live broadcast: its publisher is gone and may come back. A column beside the state, so that
-- such a broadcast is live for everybody who knows only that.
alter table broadcasts add column if not exists reconnecting boolean not null default false;
