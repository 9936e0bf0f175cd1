//! Turns a feed into a live window: ladder, transcode, segment, CMAF part, playlist.
//!
//! The pure modules ([`timing`], [`frame_rate`], [`ladder`], [`cost`], [`pace`], [`sps`], [`annexb`], [`picture_size`], [`codecs`],
//! [`passthrough`], [`schedule`], [`segment`], [`fmp4`], [`outage`], [`playlist`]) read no clock, spawn nothing and lock nothing;
//! [`broadcast`] owns the tasks, [`archive`] the files for rewinding, [`live`] is what readers see.

pub mod annexb;
pub mod archive;
pub mod broadcast;
pub mod codecs;
pub mod cost;
pub mod fmp4;
pub mod frame_rate;
pub mod ladder;
pub mod live;
pub mod metrics;
pub mod outage;
pub mod pace;
pub mod passthrough;
pub mod picture_size;
pub mod playlist;
pub mod schedule;
pub mod segment;
pub mod sps;
pub mod testing;
pub mod timing;
