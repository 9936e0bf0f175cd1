//! The picture that is shown while no publisher is there.

use bytes::Bytes;
use ffmpeg_next as ffmpeg;
use ffmpeg_next::codec::Id;
use ffmpeg_next::{decoder, frame};

use super::WorkerError;
use super::outlet::Outlet;
use super::scale::{Scaler, Shape};
use crate::wire::VideoPlan;

/// A PNG of 1280 × 720: dark, with three dots and no word of any language.
const OURS: &[u8] = include_bytes!("slate.png");
/// How a PNG file begins (RFC 2083 3.1).
const PNG: &[u8] = b"\x89PNG";

/// The slate, decoded and scaled when it is first needed.
#[derive(Default)]
pub(super) struct Slate {
    /// The channel's; empty where it has none.
    file: Bytes,
    pictures: Vec<frame::Video>,
}

impl Slate {
    /// The slate of a channel: a PNG or JPEG file.
    pub(super) fn of(file: Bytes) -> Self {
        Self { file, pictures: Vec::new() }
    }

    /// One picture for each video rendition. A channel's that cannot be shown is told, and ours takes its place.
    pub(super) fn pictures(
        &mut self,
        renditions: &[VideoPlan],
        outlet: &Outlet,
    ) -> Result<&[frame::Video], WorkerError> {
        if self.pictures.is_empty() && !self.file.is_empty() {
            match scaled(&self.file, renditions) {
                Ok(pictures) => self.pictures = pictures,
                Err(_) => outlet.discarded("slate")?,
            }
        }
        if self.pictures.is_empty() {
            self.pictures = scaled(OURS, renditions).map_err(WorkerError::Scale)?;
        }
        Ok(&self.pictures)
    }
}

fn scaled(file: &[u8], renditions: &[VideoPlan]) -> Result<Vec<frame::Video>, ffmpeg::Error> {
    let picture = decode(file)?;
    Scaler::new(Shape::of(&picture), renditions)?.scale(&picture)
}

fn decode(file: &[u8]) -> Result<frame::Video, ffmpeg::Error> {
    let id = if file.starts_with(PNG) { Id::PNG } else { Id::MJPEG };
    let codec = decoder::find(id).ok_or(ffmpeg::Error::DecoderNotFound)?;
    let mut decoder = ffmpeg::codec::Context::new_with_codec(codec).decoder().video()?;
    decoder.send_packet(&ffmpeg::Packet::copy(file))?;
    decoder.send_eof()?;
    let mut decoded = frame::Video::empty();
    decoder.receive_frame(&mut decoded)?;
    Ok(decoded)
}
