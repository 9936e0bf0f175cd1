-- How users prove who they are: local accounts, identities at other providers, and what a sign-in
-- leaves behind. It only adds and loosens, so a program that knows 0007 alone runs on beside it.
-- Harmless when repeated. Secrets are kept as SHA-256 alone, or sealed with a key that is not in
-- the database.

set local lock_timeout = '5s';

-- A user who signs in with a password here. Its e-mail address was proven when the row was made.
create table if not exists local_accounts (
    user_id             uuid primary key references users (id),
    -- PHC string of argon2id.
    password_hash       text not null check (char_length(password_hash) between 1 and 200),
    password_changed_at timestamptz not null default now(),
    -- Sealed; there while a second factor is set up, and counts from totp_confirmed_at on.
    totp_secret         bytea check (octet_length(totp_secret) between 1 and 200),
    totp_confirmed_at   timestamptz,
    -- The last time step whose code was taken: a code is used once.
    totp_step           bigint not null default 0,
    check (totp_confirmed_at is null or totp_secret is not null)
);

-- What stands in for a code when the second factor is lost. A row goes when it is used.
create table if not exists recovery_codes (
    hash    bytea primary key check (octet_length(hash) = 32),
    user_id uuid not null references local_accounts (user_id) on delete cascade
);

-- Serves the removal of a user's codes.
create index if not exists recovery_codes_user_idx on recovery_codes (user_id);

-- Links sent by e-mail. A row goes when it is used.
create table if not exists mail_tokens (
    hash       bytea primary key check (octet_length(hash) = 32),
    purpose    text not null check (purpose in ('sign_up', 'password_reset')),
    email      text not null check (char_length(email) between 3 and 254),
    created_at timestamptz not null default now(),
    expires_at timestamptz not null
);

-- Serve the count of what one address was sent, and the removal of old rows.
create index if not exists mail_tokens_email_idx on mail_tokens (email, created_at);
create index if not exists mail_tokens_expires_idx on mail_tokens (expires_at);

-- One sign-in of a program: the refresh tokens that followed one another from it.
create table if not exists refresh_families (
    id         uuid primary key,
    user_id    uuid not null references users (id),
    created_at timestamptz not null default now(),
    expires_at timestamptz not null,
    revoked_at timestamptz
);

-- Serve a user's families, and the removal of old rows.
create index if not exists refresh_families_user_idx on refresh_families (user_id, expires_at);
create index if not exists refresh_families_expires_idx on refresh_families (expires_at);

-- A used token stays as long as its family, so that its second use is seen.
create table if not exists refresh_tokens (
    hash       bytea primary key check (octet_length(hash) = 32),
    family_id  uuid not null references refresh_families (id) on delete cascade,
    created_at timestamptz not null default now(),
    used_at    timestamptz
);

-- Serves the removal of a family.
create index if not exists refresh_tokens_family_idx on refresh_tokens (family_id);

-- The keys that sign our access tokens. The private half is sealed.
create table if not exists signing_keys (
    kid         text primary key check (char_length(kid) between 1 and 64),
    public_key  bytea not null check (octet_length(public_key) = 65),
    private_key bytea not null check (octet_length(private_key) between 1 and 1000),
    created_at  timestamptz not null default now()
);

-- Who a user is at another provider. Without a user: removed there before we ever saw it.
create table if not exists user_identities (
    issuer     text not null check (char_length(issuer) between 1 and 500),
    subject    text not null check (char_length(subject) between 1 and 255),
    user_id    uuid references users (id),
    created_at timestamptz not null default now(),
    -- What the provider said last, in its own time; older words change nothing.
    updated_us bigint not null default 0,
    removed_at timestamptz,
    primary key (issuer, subject)
);

-- Serves the identities of a user.
create index if not exists user_identities_user_idx on user_identities (user_id);

-- Webhooks that were carried out: one that comes twice is carried out once.
create table if not exists webhook_deliveries (
    provider    text not null check (char_length(provider) between 1 and 40),
    id          text not null check (char_length(id) between 1 and 200),
    received_at timestamptz not null default now(),
    primary key (provider, id)
);

-- Serves the removal of old rows.
create index if not exists webhook_deliveries_received_idx on webhook_deliveries (received_at);
