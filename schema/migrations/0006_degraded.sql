-- A broadcast that gives quality up because its node's encoding would fall behind. It only adds, so a program that
-- knows less runs on beside it. Harmless when repeated.

alter table broadcasts add column if not exists degraded boolean not null default false;
