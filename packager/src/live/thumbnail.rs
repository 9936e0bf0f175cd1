//! The newest small picture of a broadcast, for channel cards and link previews.

use bytes::Bytes;
use schema::UnixMicros;
use schema::ladder::PictureSize;

/// One thumbnail: a JPEG file of the source's picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thumbnail {
    /// The file.
    pub jpeg: Bytes,
    /// Its size in pixels.
    pub size: PictureSize,
    /// Its capture time, as that of the media.
    pub captured_at: UnixMicros,
    /// A name that no other thumbnail of the channel has, for a strong entity tag: no quote and no comma in it.
    pub tag: String,
}
