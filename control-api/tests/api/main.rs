//! The control API over HTTP and SQL: one real server for all tests, an own database for each.

#![allow(clippy::unwrap_used)] // in helpers too: a test ends where something is wrong

mod accounts;
mod admission_hook;
mod admissions;
mod audit;
mod broadcasts;
mod channels;
mod first_run;
mod fixture;
mod http;
mod indexes;
mod internal;
mod migrations;
mod once;
mod permissions;
mod playback;
mod protection;
mod providers;
mod publish_tokens;
mod secrets;
mod sign_in;
mod slates;
mod stream_keys;
mod web_sessions;
