//! Turns a feed into a live window: ladder, transcode, segment, CMAF part, playlist.
//!
//! The pure modules (`ladder`, `timing`, `segment`, `fmp4`, `playlist`) read no clock, spawn
//! nothing and lock nothing; [`broadcast`] owns the tasks, [`live`] is what readers see.

pub mod live;
