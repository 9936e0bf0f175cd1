//! Video decoders as a table: which of FFmpeg's decodes what, and how each is opened.
//!
//! All are opened for no delay: what a unit holds comes out before the next one goes in. Knows no grid and
//! no scaling.

use ffmpeg_next as ffmpeg;
use ffmpeg_next::codec::threading;
use ffmpeg_next::{decoder, frame};
use schema::{AccessUnit, Codec};

/// A unit that gives no whole picture.
pub(super) struct Corrupt;

/// The opened decoder of one codec.
pub(super) struct Decoder {
    codec: Codec,
    inner: decoder::Video,
}

impl Decoder {
    /// Opens the first candidate for `codec` that this FFmpeg has and that opens.
    pub(super) fn open(codec: Codec) -> Result<Self, ffmpeg::Error> {
        let mut last = ffmpeg::Error::DecoderNotFound;
        for name in candidates(codec) {
            match decoder::find_by_name(name).ok_or(ffmpeg::Error::DecoderNotFound).and_then(open) {
                Ok(inner) => return Ok(Self { codec, inner }),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    pub(super) fn codec(&self) -> Codec {
        self.codec
    }

    /// Forgets all pictures: the next unit is a random access point.
    pub(super) fn flush(&mut self) {
        self.inner.flush();
    }

    /// The pictures that a unit shows: one as a rule, none if it is only referred to.
    pub(super) fn decode(&mut self, unit: &AccessUnit) -> Result<Vec<frame::Video>, Corrupt> {
        if unit.data.is_empty() {
            return Err(Corrupt); // to FFmpeg that is the end of the stream
        }
        let mut packet = ffmpeg::Packet::copy(&unit.data);
        packet.set_pts(Some(unit.pts.0));
        packet.set_dts(Some(unit.dts.0));
        self.inner.send_packet(&packet).map_err(|_| Corrupt)?;
        let mut pictures: Vec<frame::Video> = Vec::new();
        loop {
            let mut picture = frame::Video::empty();
            match self.inner.receive_frame(&mut picture) {
                Ok(()) if picture.is_corrupt() || picture.has_decode_errors() => return Err(Corrupt),
                Ok(()) => {
                    // Each spatial layer of a VP9 superframe is a picture, and the last the largest.
                    pictures.retain(|other| other.pts() != picture.pts());
                    pictures.push(picture);
                }
                Err(error) if super::is_drained(error) => return Ok(pictures),
                Err(_) => return Err(Corrupt),
            }
        }
    }
}

/// The video codecs for which this FFmpeg has no decoder.
#[must_use]
pub fn missing_decoders() -> Vec<Codec> {
    crate::ffi::initialise();
    let codecs = [Codec::H264, Codec::Vp8, Codec::Vp9, Codec::Av1];
    let is_missing = |codec: &Codec| candidates(*codec).iter().all(|name| decoder::find_by_name(name).is_none());
    codecs.into_iter().filter(is_missing).collect()
}

/// FFmpeg's names of the decoders for `codec`, best first. Its own `av1` needs hardware and is none of them.
fn candidates(codec: Codec) -> &'static [&'static str] {
    match codec {
        Codec::H264 => &["h264"],
        Codec::Vp8 => &["vp8", "libvpx"],
        Codec::Vp9 => &["vp9", "libvpx-vp9"],
        Codec::Av1 => &["libdav1d", "libaom-av1"],
        Codec::Opus | Codec::Aac => &[],
    }
}

/// One thread: more add a picture of delay each, and with slice threads FFmpeg neither conceals nor
/// reports the errors of a slice. Low delay keeps dav1d from holding pictures back; FFmpeg's own H.264
/// decoder finds out by itself how much reordering a stream needs.
fn open(codec: ffmpeg::Codec) -> Result<decoder::Video, ffmpeg::Error> {
    let mut context = ffmpeg::codec::Context::new_with_codec(codec);
    context.set_threading(threading::Config { kind: threading::Type::Slice, count: 1, ..threading::Config::default() });
    if codec.id() == ffmpeg::codec::Id::AV1 {
        context.set_flags(ffmpeg::codec::Flags::LOW_DELAY);
    }
    let mut decoder = context.decoder();
    decoder.set_packet_time_base((1, 705_600_000));
    decoder.video()
}
