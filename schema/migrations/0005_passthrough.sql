-- Whether a source that fits is passed through as the top rung. It only adds, so a program that knows
-- the migrations before alone runs on beside it. Harmless when repeated.

alter table channels add column if not exists passthrough boolean not null default true;
