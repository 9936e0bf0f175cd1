//! Init sections and fragments of fragmented MP4 (ISO/IEC 14496-12, CMAF). Knows no playlist.
//!
//! Decode times are absolute media time, and a sample's duration is the difference of two converted
//! instants, never a converted length: the sums of durations always equal the differences of decode times.

use bytes::{BufMut, Bytes, BytesMut};
use mp4_atom::{
    Audio, Avc1, Avcc, AvccExt, Codec, Compressor, Decode, Encode, Esds, FourCC, Ftyp, Hdlr, Matrix, Mdhd, Mdia, Mfhd,
    Minf, Moof, Moov, Mp4a, Mvex, Mvhd, Smhd, Stbl, Stco, Stsd, Tfdt, Tfhd, Tkhd, Traf, Trak, Trex, Trun, TrunEntry,
    TrunSamples, Visual, Vmhd,
    esds::{DecoderConfig, DecoderSpecific, EsDescriptor, SLConfig},
};
use schema::ladder::FrameRate;
use schema::{MediaTime, TrackKind};
use thiserror::Error;

use crate::annexb;
use crate::codecs::{AudioConfig, VideoConfig};
use crate::segment::{Part, Sample};

/// Every file has one track.
const TRACK_ID: u32 = 1;
/// Sample flags (8.8.3.1): depends on nothing, decoding can start here.
const FLAGS_SYNC: u32 = 0x0200_0000;
/// Sample flags: depends on others, decoding cannot start here.
const FLAGS_DEPENDENT: u32 = 0x0101_0000;
/// Bytes of a fragment beside its samples, at most.
pub const FRAGMENT_OVERHEAD_BYTES: u64 = 160;
/// Bytes of a fragment for each sample beside its data, at most.
pub const SAMPLE_OVERHEAD_BYTES: u64 = 16;

/// Why a box cannot be written. Each is an input that no box can carry.
#[derive(Debug, Error)]
pub enum WriteError {
    /// The box writer refused.
    #[error("the box cannot be written: {0}")]
    Atom(#[from] mp4_atom::Error),
    /// A number too large for its field.
    #[error("{0} does not fit its field")]
    Field(&'static str),
}

/// Ticks per second of a video track: 90 kHz where the frame length is whole in it, else the frame
/// rate's numerator, in which it always is.
#[must_use]
pub fn video_timescale(rate: FrameRate) -> u32 {
    let ticks = u64::from(rate.denominator) * 90_000;
    if ticks.is_multiple_of(u64::from(rate.numerator.max(1))) {
        90_000
    } else {
        rate.numerator.saturating_mul(if rate.numerator < 10_000 { 1_000 } else { 1 })
    }
}

/// Writes the init section of a video rendition.
///
/// # Errors
/// [`WriteError`] where the picture or the parameter sets are too large for their fields.
pub fn video_init(config: &VideoConfig, timescale: u32) -> Result<Bytes, WriteError> {
    let field = |side: u32| u16::try_from(side).map_err(|_| WriteError::Field("picture size"));
    let (width, height) = (field(config.sps.size.width)?, field(config.sps.size.height)?);
    let entry = Avc1 {
        visual: Visual {
            data_reference_index: 1,
            width,
            height,
            compressor: Compressor::from(""),
            ..Visual::default()
        },
        avcc: avcc(config),
        ..Avc1::default()
    };
    let tkhd = Tkhd { width: width.into(), height: height.into(), ..tkhd() };
    let minf = Minf { vmhd: Some(Vmhd::default()), ..minf(entry.into()) };
    init(tkhd, b"vide", minf, timescale, FLAGS_DEPENDENT)
}

/// Writes the init section of an audio rendition.
///
/// # Errors
/// [`WriteError`] where the configuration cannot be carried.
pub fn audio_init(config: &AudioConfig, bitrate: u32) -> Result<Bytes, WriteError> {
    let rate = u16::try_from(config.rate).map_err(|_| WriteError::Field("sample rate"))?;
    let mut specific = &config.specific[..];
    let entry = Mp4a {
        audio: Audio {
            data_reference_index: 1,
            channel_count: config.channels,
            sample_size: 16,
            sample_rate: rate.into(),
        },
        esds: Esds {
            es_desc: EsDescriptor {
                es_id: 1,
                dec_config: DecoderConfig {
                    object_type_indication: 0x40,
                    stream_type: 5,
                    max_bitrate: bitrate,
                    avg_bitrate: bitrate,
                    dec_specific: Some(DecoderSpecific::decode(&mut specific)?),
                    ..DecoderConfig::default()
                },
                sl_config: SLConfig {},
                ..EsDescriptor::default()
            },
        },
        btrt: None,
        taic: None,
    };
    let tkhd = Tkhd { volume: 1.into(), ..tkhd() };
    let minf = Minf { smhd: Some(Smhd::default()), ..minf(entry.into()) };
    init(tkhd, b"soun", minf, config.rate, FLAGS_SYNC)
}

fn avcc(config: &VideoConfig) -> Avcc {
    let sps = &config.sps;
    Avcc {
        configuration_version: 1,
        avc_profile_indication: sps.profile,
        profile_compatibility: sps.constraints,
        avc_level_indication: sps.level,
        length_size: 4,
        sequence_parameter_sets: config.sets.sps.iter().map(|set| set.to_vec()).collect(),
        picture_parameter_sets: config.sets.pps.iter().map(|set| set.to_vec()).collect(),
        ext: sps.has_extended_configuration().then(|| AvccExt {
            chroma_format: sps.chroma_format,
            bit_depth_luma: sps.bit_depth_luma,
            bit_depth_chroma: sps.bit_depth_chroma,
            sequence_parameter_sets_ext: Vec::new(),
        }),
    }
}

fn tkhd() -> Tkhd {
    Tkhd { track_id: TRACK_ID, enabled: true, in_movie: true, matrix: Matrix::default(), ..Tkhd::default() }
}

fn minf(entry: Codec) -> Minf {
    Minf {
        dinf: mp4_atom::Dinf { dref: mp4_atom::Dref { entries: vec![mp4_atom::Url::default().into()] } },
        stbl: Stbl { stsd: Stsd { codecs: vec![entry] }, stco: Some(Stco::default()), ..Stbl::default() },
        ..Minf::default()
    }
}

fn init(tkhd: Tkhd, handler: &[u8; 4], minf: Minf, timescale: u32, default_flags: u32) -> Result<Bytes, WriteError> {
    let trak = Trak {
        tkhd,
        mdia: Mdia {
            mdhd: Mdhd { timescale, language: "und".into(), ..Mdhd::default() },
            hdlr: Hdlr { handler: FourCC::new(handler), name: "Headwater".into() },
            minf,
        },
        ..Trak::default()
    };
    let moov = Moov {
        mvhd: Mvhd { timescale, rate: 1.into(), volume: 1.into(), next_track_id: TRACK_ID + 1, ..Mvhd::default() },
        mvex: Some(Mvex {
            mehd: None,
            trex: vec![Trex {
                track_id: TRACK_ID,
                default_sample_description_index: 1,
                default_sample_flags: default_flags,
                ..Trex::default()
            }],
        }),
        trak: vec![trak],
        ..Moov::default()
    };
    let mut out = Vec::new();
    brands().encode(&mut out)?;
    moov.encode(&mut out)?;
    Ok(out.into())
}

/// `iso6` for default-base-is-moof and signed composition offsets, `cmfc` for CMAF.
fn brands() -> Ftyp {
    Ftyp {
        major_brand: FourCC::new(b"iso6"),
        minor_version: 0,
        compatible_brands: [b"iso6", b"cmfc", b"mp41"].map(FourCC::new).to_vec(),
    }
}

/// Where the parameter sets of a fragment's pictures are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sets {
    /// In the sample entry of the init section alone (ISO/IEC 14496-15 5.4.2.1).
    InEntry,
    /// In the first sample too. FFmpeg takes the sample entry of the first init section of a playlist and skips those of
    /// later ones ("duplicated MOOV"), so behind a change of encoders it has the new sets from here alone.
    AlsoInFirst,
}

/// Writes a part as one fragment: `moof` and `mdat`, `sequence` counting up in its rendition.
///
/// # Errors
/// [`WriteError`] where a sample is too large or lasts too long for its field.
pub fn fragment(kind: TrackKind, timescale: u32, sequence: u32, part: &Part, sets: Sets) -> Result<Bytes, WriteError> {
    let data: Vec<Bytes> = part
        .samples
        .iter()
        .enumerate()
        .map(|(index, sample)| match kind {
            TrackKind::Video if index == 0 && sets == Sets::AlsoInFirst => {
                annexb::to_length_prefixed_with_sets(&sample.data)
            }
            TrackKind::Video => annexb::to_length_prefixed(&sample.data),
            TrackKind::Audio => sample.data.clone(),
        })
        .collect();
    let entries = part
        .samples
        .iter()
        .zip(&data)
        .map(|(sample, data)| entry(kind, timescale, sample, data.len()))
        .collect::<Result<Vec<_>, _>>()?;
    let start = u64::try_from(part.start().to_ticks(timescale)).map_err(|_| WriteError::Field("decode time"))?;
    let mut moof = moof(kind, sequence, start, entries);
    let mut head = Vec::new();
    moof.encode(&mut head)?;
    let offset = i32::try_from(head.len() + 8).map_err(|_| WriteError::Field("data offset"))?;
    moof.traf[0].trun[0].data_offset = Some(offset);
    head.clear();
    moof.encode(&mut head)?;
    with_mdat(&head, &data)
}

fn with_mdat(head: &[u8], data: &[Bytes]) -> Result<Bytes, WriteError> {
    let body: usize = data.iter().map(Bytes::len).sum();
    let size = u32::try_from(body + 8).map_err(|_| WriteError::Field("media data"))?;
    let mut out = BytesMut::with_capacity(head.len() + body + 8);
    out.put_slice(head);
    out.put_u32(size);
    out.put_slice(b"mdat");
    for sample in data {
        out.put_slice(sample);
    }
    Ok(out.freeze())
}

fn entry(kind: TrackKind, timescale: u32, sample: &Sample, size: usize) -> Result<TrunEntry, WriteError> {
    let ticks = |time: MediaTime| time.to_ticks(timescale);
    let duration = ticks(sample.end) - ticks(sample.start);
    let offset = ticks(sample.start + sample.shown_after) - ticks(sample.start);
    let flags = match (kind, sample.random_access) {
        (TrackKind::Audio, _) => None,
        (TrackKind::Video, true) => Some(FLAGS_SYNC),
        (TrackKind::Video, false) => Some(FLAGS_DEPENDENT),
    };
    Ok(TrunEntry {
        duration: Some(u32::try_from(duration).map_err(|_| WriteError::Field("duration"))?),
        size: Some(u32::try_from(size).map_err(|_| WriteError::Field("sample size"))?),
        flags,
        cts: (offset != 0).then_some(offset),
    })
}

/// Moves what all samples share into the fragment's defaults, where it stands once.
fn moof(kind: TrackKind, sequence: u32, start: u64, mut entries: Vec<TrunEntry>) -> Moof {
    let duration = entries.first().and_then(|entry| entry.duration);
    let shared = entries.iter().all(|entry| entry.duration == duration);
    let dependent = |entry: &TrunEntry| entry.flags == Some(FLAGS_DEPENDENT);
    let first_only = entries.iter().skip(1).all(dependent);
    for (index, entry) in entries.iter_mut().enumerate() {
        if shared {
            entry.duration = None;
        }
        if first_only && (index > 0 || dependent(entry)) {
            entry.flags = None;
        }
    }
    let default_flags = match kind {
        TrackKind::Video => FLAGS_DEPENDENT,
        TrackKind::Audio => FLAGS_SYNC,
    };
    Moof {
        mfhd: Mfhd { sequence_number: sequence },
        traf: vec![Traf {
            tfhd: Tfhd {
                track_id: TRACK_ID,
                default_sample_duration: duration.filter(|_| shared),
                default_sample_flags: Some(default_flags),
                default_base_is_moof: true,
                ..Tfhd::default()
            },
            tfdt: Some(Tfdt { base_media_decode_time: start }),
            trun: vec![Trun { data_offset: Some(0), samples: TrunSamples::Explicit(entries) }],
            ..Traf::default()
        }],
    }
}
