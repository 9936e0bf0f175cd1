//! The picture that is shown while no publisher is there.

use ffmpeg_next as ffmpeg;
use ffmpeg_next::{decoder, frame};

use super::WorkerError;
use super::scale::{Scaler, Shape};
use crate::wire::VideoPlan;

/// A PNG of 1280 × 720: dark, with three dots and no word of any language.
const PICTURE: &[u8] = include_bytes!("slate.png");

/// The slate, decoded and scaled when it is first needed.
#[derive(Default)]
pub(super) struct Slate {
    pictures: Vec<frame::Video>,
}

impl Slate {
    /// One picture for each video rendition.
    pub(super) fn pictures(&mut self, renditions: &[VideoPlan]) -> Result<&[frame::Video], WorkerError> {
        if self.pictures.is_empty() {
            let picture = decode(PICTURE).map_err(WorkerError::OpenDecoder)?;
            let scaled = Scaler::new(Shape::of(&picture), renditions).and_then(|mut scaler| scaler.scale(&picture));
            self.pictures = scaled.map_err(WorkerError::Scale)?;
        }
        Ok(&self.pictures)
    }
}

fn decode(picture: &[u8]) -> Result<frame::Video, ffmpeg::Error> {
    let codec = decoder::find(ffmpeg::codec::Id::PNG).ok_or(ffmpeg::Error::DecoderNotFound)?;
    let mut decoder = ffmpeg::codec::Context::new_with_codec(codec).decoder().video()?;
    decoder.send_packet(&ffmpeg::Packet::copy(picture))?;
    decoder.send_eof()?;
    let mut decoded = frame::Video::empty();
    decoder.receive_frame(&mut decoded)?;
    Ok(decoded)
}
