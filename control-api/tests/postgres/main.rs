//! The embedded server: its life, its deaths, and what is said when it cannot start.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // in helpers too: a test ends where something is wrong

mod away;
mod fixture;
mod life;
mod refusals;
