-- How much of its running broadcast a channel keeps on its node's disk for rewinding, in seconds; 0 is nothing. It only
-- adds, so a program that knows 0003 alone runs on beside it. Harmless when repeated.

alter table channels add column if not exists dvr_s integer not null default 0
    check (dvr_s between 0 and 43200);
