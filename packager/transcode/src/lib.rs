//! FFmpeg, and the worker process around it. Nobody else names FFmpeg.
//!
//! The seam is messages of bytes ([`wire`]): access units and commands in, access units and
//! statistics out. [`process`] owns a worker on the node's side, [`worker`] is the other end.
//! Without the feature `ffmpeg` only the seam and the owner of the worker process remain, so that
//! everybody else builds and tests without FFmpeg.

#[cfg(feature = "ffmpeg")]
pub mod encoder;
#[cfg(feature = "ffmpeg")]
mod ffi;
pub mod grid;
#[cfg(feature = "ffmpeg")]
pub mod pattern;
pub mod process;
pub mod wire;
#[cfg(feature = "ffmpeg")]
pub mod worker;
