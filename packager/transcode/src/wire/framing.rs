//! How a message becomes bytes: `u32` header length, postcard header, `u32` payload length,
//! payload. Lengths are big-endian; the payload is [`schema::AccessUnit::data`] or a thumbnail's, empty where a
//! message carries neither. Knows no process and no thread.

use std::io::{self, Read, Write};

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::{Input, Output};

/// The longest header, in bytes: messages are small, only payloads are not.
pub const HEADER_BYTES_MAX: usize = 64 * 1024;
/// The longest payload, in bytes: far above any access unit of a live feed.
pub const PAYLOAD_BYTES_MAX: usize = 16 * 1024 * 1024;

/// A payload up to this long, in bytes, is copied behind its header, so that one call writes the message and its reader
/// is woken once: nearly all pictures and all sound.
const JOINED_BYTES_MAX: usize = 32 * 1024;

/// Why a message could not be read.
#[derive(Debug, Error)]
pub enum ReadError {
    /// The stream ended within a message.
    #[error("the stream ended within a message")]
    Truncated,
    /// The header is longer than [`HEADER_BYTES_MAX`].
    #[error("a header of {0} bytes is too long")]
    HeaderTooLong(usize),
    /// The payload is longer than [`PAYLOAD_BYTES_MAX`].
    #[error("a payload of {0} bytes is too long")]
    PayloadTooLong(usize),
    /// The header is no message, or has bytes left over.
    #[error("the header is no message")]
    Malformed,
    /// A payload came with a message that carries none.
    #[error("a payload of {0} bytes came with a message that carries none")]
    PayloadUnexpected(usize),
    /// The stream itself failed.
    #[error("reading failed: {0}")]
    Io(io::Error),
}

/// Why a message could not be written.
#[derive(Debug, Error)]
pub enum WriteError {
    /// The header would be longer than [`HEADER_BYTES_MAX`]; nothing was written.
    #[error("a header of {0} bytes is too long")]
    HeaderTooLong(usize),
    /// The payload is longer than [`PAYLOAD_BYTES_MAX`]; nothing was written.
    #[error("a payload of {0} bytes is too long")]
    PayloadTooLong(usize),
    /// The header cannot be expressed; nothing was written.
    #[error("the message cannot be encoded: {0}")]
    Encode(#[from] postcard::Error),
    /// The stream itself failed, perhaps within a message.
    #[error("writing failed: {0}")]
    Io(#[from] io::Error),
}

impl From<io::Error> for ReadError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Truncated,
            _ => Self::Io(error),
        }
    }
}

/// Something that travels over the seam: a header, and the bytes of an access unit or a thumbnail, if it has one.
pub trait Message: Serialize + DeserializeOwned {
    /// The bytes that it carries.
    fn payload(&self) -> Option<&Bytes>;
    /// Where the bytes that it carries belong.
    fn payload_mut(&mut self) -> Option<&mut Bytes>;
}

impl Message for Input {
    fn payload(&self) -> Option<&Bytes> {
        match self {
            Self::Unit(unit) => Some(&unit.data),
            Self::Slate { data } => Some(data),
            Self::Start(_)
            | Self::Switch
            | Self::Clock { .. }
            | Self::Pass { .. }
            | Self::Pace { .. }
            | Self::Encode { .. }
            | Self::Finish => None,
        }
    }

    fn payload_mut(&mut self) -> Option<&mut Bytes> {
        match self {
            Self::Unit(unit) => Some(&mut unit.data),
            Self::Slate { data } => Some(data),
            Self::Start(_)
            | Self::Switch
            | Self::Clock { .. }
            | Self::Pass { .. }
            | Self::Pace { .. }
            | Self::Encode { .. }
            | Self::Finish => None,
        }
    }
}

impl Message for Output {
    fn payload(&self) -> Option<&Bytes> {
        match self {
            Self::Encoded { unit, .. } => Some(&unit.data),
            Self::Thumbnail { data, .. } => Some(data),
            _ => None,
        }
    }

    fn payload_mut(&mut self) -> Option<&mut Bytes> {
        match self {
            Self::Encoded { unit, .. } => Some(&mut unit.data),
            Self::Thumbnail { data, .. } => Some(data),
            _ => None,
        }
    }
}

/// Reads the next message; `None` if the stream ended cleanly between two messages.
///
/// # Errors
/// Everything in [`ReadError`]; the stream is of no use after one.
pub fn read<M: Message>(from: &mut impl Read) -> Result<Option<M>, ReadError> {
    let mut length = [0; 4];
    if !read_first(from, &mut length)? {
        return Ok(None);
    }
    let mut header = vec![0; header_length(length)?];
    from.read_exact(&mut header)?;
    from.read_exact(&mut length)?;
    let mut payload = vec![0; payload_length(length)?];
    from.read_exact(&mut payload)?;
    assemble(&header, payload).map(Some)
}

/// Fills `length`; false if the stream ends before its first byte.
fn read_first(from: &mut impl Read, length: &mut [u8; 4]) -> Result<bool, ReadError> {
    loop {
        match from.read(&mut length[..1]) {
            Ok(0) => return Ok(false),
            Ok(_) => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    from.read_exact(&mut length[1..])?;
    Ok(true)
}

/// As [`read`], for a tokio stream. Not cancel safe: a dropped call may lose part of a message.
///
/// # Errors
/// As [`read`].
pub async fn read_async<M: Message>(from: &mut (impl AsyncRead + Unpin)) -> Result<Option<M>, ReadError> {
    let mut length = [0; 4];
    if from.read(&mut length[..1]).await? == 0 {
        return Ok(None);
    }
    from.read_exact(&mut length[1..]).await?;
    let mut header = vec![0; header_length(length)?];
    from.read_exact(&mut header).await?;
    from.read_exact(&mut length).await?;
    let mut payload = vec![0; payload_length(length)?];
    from.read_exact(&mut payload).await?;
    assemble(&header, payload).map(Some)
}

/// Writes one message and flushes.
///
/// # Errors
/// Everything in [`WriteError`].
pub fn write<M: Message>(to: &mut impl Write, message: &M) -> Result<(), WriteError> {
    let (bytes, rest) = pieces(message)?;
    to.write_all(&bytes)?;
    if let Some(rest) = rest {
        to.write_all(rest)?;
    }
    Ok(to.flush()?)
}

/// As [`write()`], for a tokio stream. Not cancel safe: a dropped call may leave part of a message behind.
///
/// # Errors
/// As [`write()`].
pub async fn write_async<M: Message>(to: &mut (impl AsyncWrite + Unpin), message: &M) -> Result<(), WriteError> {
    let (bytes, rest) = pieces(message)?;
    to.write_all(&bytes).await?;
    if let Some(rest) = rest {
        to.write_all(rest).await?;
    }
    Ok(to.flush().await?)
}

/// Both lengths, the header and a short payload; a long one apart, as copying it would cost more.
fn pieces<M: Message>(message: &M) -> Result<(Vec<u8>, Option<&Bytes>), WriteError> {
    let header = postcard::to_stdvec(message)?;
    let payload = message.payload();
    let length = payload.map_or(0, Bytes::len);
    let header_length = bounded(header.len(), HEADER_BYTES_MAX).ok_or(WriteError::HeaderTooLong(header.len()))?;
    let payload_length = bounded(length, PAYLOAD_BYTES_MAX).ok_or(WriteError::PayloadTooLong(length))?;
    let (joined, rest) = payload.map_or((None, None), |payload| {
        if length <= JOINED_BYTES_MAX { (Some(payload), None) } else { (None, Some(payload)) }
    });
    let mut bytes = Vec::with_capacity(header.len() + 8 + joined.map_or(0, Bytes::len));
    bytes.extend_from_slice(&header_length.to_be_bytes());
    bytes.extend_from_slice(&header);
    bytes.extend_from_slice(&payload_length.to_be_bytes());
    bytes.extend_from_slice(joined.map_or(&[], |payload| &payload[..]));
    Ok((bytes, rest))
}

fn bounded(length: usize, max: usize) -> Option<u32> {
    (length <= max).then(|| u32::try_from(length).ok())?
}

fn header_length(bytes: [u8; 4]) -> Result<usize, ReadError> {
    let length = usize::try_from(u32::from_be_bytes(bytes)).unwrap_or(usize::MAX);
    if length > HEADER_BYTES_MAX {
        return Err(ReadError::HeaderTooLong(length));
    }
    Ok(length)
}

fn payload_length(bytes: [u8; 4]) -> Result<usize, ReadError> {
    let length = usize::try_from(u32::from_be_bytes(bytes)).unwrap_or(usize::MAX);
    if length > PAYLOAD_BYTES_MAX {
        return Err(ReadError::PayloadTooLong(length));
    }
    Ok(length)
}

fn assemble<M: Message>(header: &[u8], payload: Vec<u8>) -> Result<M, ReadError> {
    let (mut message, rest) = postcard::take_from_bytes::<M>(header).map_err(|_| ReadError::Malformed)?;
    if !rest.is_empty() {
        return Err(ReadError::Malformed);
    }
    match message.payload_mut() {
        Some(place) => *place = Bytes::from(payload),
        None if payload.is_empty() => {}
        None => return Err(ReadError::PayloadUnexpected(payload.len())),
    }
    Ok(message)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use schema::ladder::PictureSize;
    use schema::{AccessUnit, Codec, MediaTime};

    use super::*;

    fn unit() -> impl Strategy<Value = AccessUnit> {
        let codec = prop_oneof![Just(Codec::H264), Just(Codec::Opus), Just(Codec::Aac)];
        let data = proptest::collection::vec(any::<u8>(), 0..2000);
        (codec, any::<[i64; 2]>(), any::<Option<i64>>(), any::<bool>(), data).prop_map(
            |(codec, [pts, dts], duration, random_access, data)| AccessUnit {
                codec,
                pts: MediaTime(pts),
                dts: MediaTime(dts),
                duration: duration.map(MediaTime),
                random_access,
                data: data.into(),
            },
        )
    }

    fn thumbnail() -> impl Strategy<Value = Output> {
        let data = proptest::collection::vec(any::<u8>(), 0..2000);
        (any::<i64>(), any::<[u32; 2]>(), data).prop_map(|(pts, [width, height], data)| Output::Thumbnail {
            pts: MediaTime(pts),
            size: PictureSize { width, height },
            data: data.into(),
        })
    }

    fn outputs() -> impl Strategy<Value = Vec<Output>> {
        let output = prop_oneof![
            (any::<u8>(), unit()).prop_map(|(rendition, unit)| Output::Encoded { rendition, unit }),
            thumbnail(),
            any::<[u32; 2]>().prop_map(|[width, height]| Output::SourceSize { width, height }),
            ".{0,200}".prop_map(Output::Failed),
            Just(Output::KeyframeWanted),
            Just(Output::Finished),
        ];
        proptest::collection::vec(output, 0..8)
    }

    fn written(messages: &[Output]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for message in messages {
            write(&mut bytes, message).unwrap();
        }
        bytes
    }

    /// Counts the calls.
    #[derive(Default)]
    struct Calls {
        count: usize,
        bytes: Vec<u8>,
    }

    impl Write for Calls {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.count += 1;
            self.bytes.extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_message_is_written_at_once_unless_it_is_long() {
        for (length, calls) in [(0, 1), (JOINED_BYTES_MAX, 1), (JOINED_BYTES_MAX + 1, 2)] {
            let data = Bytes::from(vec![7; length]);
            let message = Output::Thumbnail { pts: MediaTime::ZERO, size: PictureSize { width: 2, height: 2 }, data };
            let mut to = Calls::default();
            write(&mut to, &message).unwrap();
            assert_eq!(to.count, calls, "{length} bytes");
            assert_eq!(read_all(&to.bytes).unwrap(), [message]);
        }
    }

    fn read_all(mut bytes: &[u8]) -> Result<Vec<Output>, ReadError> {
        std::iter::from_fn(|| read(&mut bytes).transpose()).collect()
    }

    fn block_on<F: Future>(future: F) -> F::Output {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(future)
    }

    proptest! {
        #[test]
        fn messages_come_back_as_they_went_in(messages in outputs()) {
            prop_assert_eq!(read_all(&written(&messages)).unwrap(), messages);
        }

        #[test]
        fn tokio_writes_and_reads_the_same_bytes(messages in outputs()) {
            let (bytes, back) = block_on(async {
                let mut bytes = Vec::new();
                for message in &messages {
                    write_async(&mut bytes, message).await.unwrap();
                }
                let mut rest = bytes.as_slice();
                let mut back = Vec::new();
                while let Some(message) = read_async::<Output>(&mut rest).await.unwrap() {
                    back.push(message);
                }
                (bytes, back)
            });
            prop_assert_eq!(bytes, written(&messages));
            prop_assert_eq!(back, messages);
        }

        #[test]
        fn garbage_is_an_error_or_messages_and_never_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = read_all(&bytes);
            let mut rest = bytes.as_slice();
            while let Ok(Some(_)) = block_on(read_async::<Input>(&mut rest)) {}
        }

        #[test]
        fn a_cut_within_a_message_is_an_error(message in unit(), cut in any::<prop::sample::Index>()) {
            let bytes = written(&[Output::Encoded { rendition: 0, unit: message }]);
            let cut = 1 + cut.index(bytes.len() - 1);
            prop_assert!(matches!(read_all(&bytes[..cut]), Err(ReadError::Truncated)));
        }
    }

    #[test]
    fn lengths_above_the_limits_are_refused_before_anything_is_allocated() {
        let long = 0xffff_ffff_u32.to_be_bytes();
        assert!(matches!(read::<Output>(&mut long.as_slice()), Err(ReadError::HeaderTooLong(0xffff_ffff))));
        let mut bytes = written(&[Output::Finished]);
        let end = bytes.len();
        bytes[end - 4..].copy_from_slice(&long);
        assert!(matches!(read_all(&bytes), Err(ReadError::PayloadTooLong(0xffff_ffff))));
        assert!(matches!(
            write(&mut Vec::new(), &Output::Failed("x".repeat(HEADER_BYTES_MAX))),
            Err(WriteError::HeaderTooLong(_))
        ));
    }

    #[test]
    fn a_payload_that_nothing_carries_is_refused() {
        let mut bytes = written(&[Output::Finished]);
        let end = bytes.len();
        bytes[end - 4..].copy_from_slice(&1_u32.to_be_bytes());
        bytes.push(7);
        assert!(matches!(read_all(&bytes), Err(ReadError::PayloadUnexpected(1))));
    }

    #[test]
    fn bytes_left_over_in_a_header_are_refused() {
        let header = postcard::to_stdvec(&Output::Finished).unwrap();
        let mut bytes = u32::try_from(header.len() + 1).unwrap().to_be_bytes().to_vec();
        bytes.extend_from_slice(&header);
        bytes.extend_from_slice(&[0; 5]);
        assert!(matches!(read_all(&bytes), Err(ReadError::Malformed)));
    }
}
