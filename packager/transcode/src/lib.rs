//! FFmpeg, and the worker process around it. Nobody else names FFmpeg.
//!
//! The seam is messages of bytes ([`wire`]): access units and commands in, access units and
//! statistics out. Without the feature `ffmpeg` only the seam and the owner of the worker process
//! remain, so that everybody else builds and tests without FFmpeg.

pub mod wire;
