//! The few calls that `ffmpeg-next` has no safe way for, and FFmpeg's one-time set-up.
#![allow(unsafe_code)]

use std::sync::Once;

use ffmpeg_next as ffmpeg;
use ffmpeg_next::ffi::av_frame_ref;

/// Sets FFmpeg up once per process; its own log stays silent, as every error comes back as a value.
pub(crate) fn initialise() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Cannot fail without libavdevice: it only fills the table of error texts.
        let _ = ffmpeg::init();
        ffmpeg::log::set_level(ffmpeg::log::Level::Fatal);
    });
}

/// A second reference to the same pixels, with its own time and type. (`Clone` would copy the pixels.)
pub(crate) fn share(frame: &ffmpeg::frame::Video) -> Result<ffmpeg::frame::Video, ffmpeg::Error> {
    let mut second = ffmpeg::frame::Video::empty();
    // SAFETY: `second` owns a freshly allocated, blank frame (or null, which is refused before use),
    // and `frame` a valid one; `av_frame_ref` only reads the latter and counts its buffers atomically.
    let result = unsafe {
        if second.as_ptr().is_null() {
            return Err(ffmpeg::Error::Other { errno: ffmpeg::error::ENOMEM });
        }
        av_frame_ref(second.as_mut_ptr(), frame.as_ptr())
    };
    if result < 0 {
        return Err(result.into());
    }
    Ok(second)
}

/// The out-of-band header that an opened encoder wrote, such as an AudioSpecificConfig; empty if none.
pub(crate) fn extradata(context: &ffmpeg::codec::Context) -> Vec<u8> {
    // SAFETY: the context is valid while it is borrowed; FFmpeg keeps `extradata` either null or
    // pointing at `extradata_size` readable bytes, and nobody writes them while we hold the borrow.
    unsafe {
        let context = context.as_ptr();
        let length = usize::try_from((*context).extradata_size).unwrap_or(0);
        if (*context).extradata.is_null() || length == 0 {
            return Vec::new();
        }
        std::slice::from_raw_parts((*context).extradata, length).to_vec()
    }
}

/// How many samples an opened audio encoder puts before the first one that it was given.
pub(crate) fn initial_padding(context: &ffmpeg::codec::Context) -> i64 {
    // SAFETY: the context is valid while it is borrowed; the field is a plain number set by opening.
    i64::from(unsafe { (*context.as_ptr()).initial_padding })
}
