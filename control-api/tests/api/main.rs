//! The control API over HTTP and SQL: one real server for all tests, an own database for each.

#![allow(clippy::unwrap_used)] // in helpers too: a test ends where something is wrong

mod admissions;
mod broadcasts;
mod channels;
mod first_run;
mod fixture;
mod http;
mod internal;
mod migrations;
mod playback;
mod publish_tokens;
mod secrets;
mod slates;
mod stream_keys;
mod web_sessions;
