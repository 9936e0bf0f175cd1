-- Users, their roles, the members of channels, what was done by whom, and requests that are done once. It only adds and
-- loosens, so a program that knows the migrations before alone runs on beside it. Harmless when repeated.

create table if not exists users (
    id           uuid primary key,
    -- The handle, in URLs.
    name         text not null check (name ~ '^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?$'),
    display_name text not null check (char_length(display_name) between 1 and 100),
    email        text check (email = lower(email) and char_length(email) between 3 and 254),
    role         text not null default 'viewer' check (role in ('admin', 'creator', 'moderator', 'viewer')),
    state        text not null default 'active' check (state in ('active', 'suspended')),
    created_at   timestamptz not null default now(),
    updated_at   timestamptz not null default now(),
    -- Grows with every change; what an ETag says.
    version      bigint not null default 1,
    -- A deleted user stays for what it did; its name and address are free again.
    deleted_at   timestamptz,
    -- To some minutes.
    last_seen_at timestamptz
);

-- Serve the look-up by name and address, and the listing in order of names.
create unique index if not exists users_name_key on users (name) where deleted_at is null;
create unique index if not exists users_email_key on users (email) where deleted_at is null;

create table if not exists channel_members (
    channel_id uuid not null references channels (id),
    user_id    uuid not null references users (id),
    role       text not null check (role in ('owner', 'editor', 'moderator')),
    created_at timestamptz not null default now(),
    primary key (channel_id, user_id)
);

-- Serves the channels of a user.
create index if not exists channel_members_user_idx on channel_members (user_id);

alter table channels add column if not exists version bigint not null default 1;

-- A token without a user is what it was: its role says what it may do. One with scopes may do what they name alone. The
-- role of both is 'read' here, since a program that knows neither would take them for more than they are.
alter table api_tokens add column if not exists user_id uuid references users (id)
    check (user_id is null or role = 'read');
alter table api_tokens add column if not exists scopes text[]
    check (scopes is null or role = 'read')
    check (cardinality(scopes) between 1 and 100);
alter table api_tokens add column if not exists expires_at timestamptz;
alter table api_tokens add column if not exists last_used_at timestamptz;

-- Serves the listing of a user's tokens, newest first.
create index if not exists api_tokens_user_idx on api_tokens (user_id, created_at desc);

-- A browser signs in with an API token, or as a user.
alter table web_sessions alter column api_token_id drop not null;
alter table web_sessions add column if not exists user_id uuid references users (id)
    check ((api_token_id is null) <> (user_id is null));
-- Serves the removal of those of one user that end first.
create index if not exists web_sessions_user_idx on web_sessions (user_id, expires_at) where user_id is not null;

-- Whose publish token it is: of an API token, of a user, or of a user's API token.
alter table publish_tokens alter column api_token_id drop not null;
alter table publish_tokens add column if not exists user_id uuid references users (id)
    check (api_token_id is not null or user_id is not null);

-- A stream key that was rotated is good until then.
alter table stream_keys add column if not exists expires_at timestamptz;

-- Broadcasts that somebody ordered to end, and when.
alter table broadcasts add column if not exists end_ordered_at timestamptz;

-- What was done, by whom, and from where. Rows are added alone.
create table if not exists audit (
    id          bigint generated always as identity primary key,
    at          timestamptz not null default now(),
    actor_kind  text not null check (actor_kind in ('user', 'token', 'system')),
    -- The id of the user or token; of the system, which part of it.
    actor       text not null check (char_length(actor) between 1 and 100),
    -- Such as `channel.update`.
    action      text not null check (char_length(action) between 1 and 60),
    object_kind text not null check (char_length(object_kind) between 1 and 40),
    object_id   text not null check (char_length(object_id) between 1 and 200),
    channel_id  uuid,
    address     inet,
    details     jsonb not null default '{}' check (jsonb_typeof(details) = 'object')
);

-- Serve the listing of one actor, one object and one channel, newest first.
create index if not exists audit_actor_idx on audit (actor, id desc);
create index if not exists audit_object_idx on audit (object_id, id desc);
create index if not exists audit_channel_idx on audit (channel_id, id desc) where channel_id is not null;

create or replace function audit_only_grows() returns trigger language plpgsql as $$
begin
    raise exception 'rows of audit are neither changed nor removed' using errcode = 'restrict_violation';
end
$$;
drop trigger if exists audit_only_grows on audit;
create trigger audit_only_grows before update or delete or truncate on audit
    for each statement execute function audit_only_grows();

-- Requests that carried an Idempotency-Key, and what they were answered.
create table if not exists idempotency_keys (
    actor        text not null,
    key_hash     bytea not null check (octet_length(key_hash) = 32),
    request_hash bytea not null check (octet_length(request_hash) = 32),
    status       integer not null,
    location     text,
    -- The answer; null if it held a secret, which is told once.
    body         jsonb,
    created_at   timestamptz not null default now(),
    primary key (actor, key_hash)
);

-- Serves the removal of old rows.
create index if not exists idempotency_keys_created_idx on idempotency_keys (created_at);
