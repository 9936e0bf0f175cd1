//! Turns an authorised publisher's session into a feed: access units on one clock.
//!
//! [`rtp`], [`clock`] and [`media`] are pure: they read no clock, spawn nothing and touch no
//! socket. [`feed`] is the bounded queue between a session and its reader. `whip` (a feature) is
//! the HTTP endpoint and owns the session tasks. Knows no ladder, no playlist and no database.

pub mod clock;
pub mod feed;
pub mod media;
pub mod rtp;
#[cfg(feature = "whip")]
pub mod whip;
