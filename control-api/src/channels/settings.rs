//! What may be set on a channel, and within which limits. Knows no database.

use schema::api::{Access, PublishGrant, SecondPublisher};
use schema::ladder::{Ladder, LatencyProfile, Rung};
use serde::de::DeserializeOwned;

use crate::http::extract::{Fields, Patch, invalid, text};
use crate::http::problem::ApiError;

/// The longest title, in characters.
const TITLE_LONGEST: usize = 200;
/// The highest frame rate, in frames per second.
const FRAME_RATE_MAX: u32 = 120;
/// The tallest rung, in lines.
const HEIGHT_MAX: u32 = 4_320;

/// What may be set on a channel, checked.
pub(super) struct Settings {
    pub(super) title: Option<String>,
    pub(super) profile: Option<LatencyProfile>,
    pub(super) frame_rate: Patch<i32>,
    pub(super) ladder: Patch<Ladder>,
    pub(super) grace_s: Option<i32>,
    pub(super) second_publisher: Option<SecondPublisher>,
    pub(super) dvr_s: Option<i32>,
    pub(super) passthrough: Option<bool>,
    pub(super) access: Option<Access>,
}

impl Settings {
    /// Takes the settings out of a body; the caller takes what else there is.
    pub(super) fn take(fields: &mut Fields) -> Result<Self, ApiError> {
        let title = match fields.patch::<String>("title")? {
            Patch::Keep => None,
            Patch::Clear => return Err(invalid("title", "must not be null".into())),
            Patch::Set(title) => Some(text("title", &title, 1, TITLE_LONGEST)?),
        };
        let profile = defaulted(fields, "profile", LatencyProfile::default())?;
        let frame_rate = fields.patch("frame_rate")?;
        if let Patch::Set(rate) = frame_rate {
            check_range("frame_rate", "", rate, 1, FRAME_RATE_MAX)?;
        }
        let ladder = fields.patch("ladder")?;
        if let Patch::Set(ladder) = &ladder {
            check_ladder(ladder)?;
        }
        let grace_s = defaulted(fields, "grace_s", PublishGrant::GRACE_S_USUAL)?;
        if let Some(grace) = grace_s {
            check_range("grace_s", "", grace, 0, PublishGrant::GRACE_S_MAX)?;
        }
        let dvr_s = defaulted(fields, "dvr_s", 0)?;
        if let Some(dvr) = dvr_s {
            check_range("dvr_s", "", dvr, 0, PublishGrant::DVR_S_MAX)?;
        }
        Ok(Self {
            title,
            profile,
            frame_rate: frame_rate.map(u32::cast_signed),
            ladder,
            grace_s: grace_s.map(u32::cast_signed),
            second_publisher: defaulted(fields, "second_publisher", SecondPublisher::default())?,
            dvr_s: dvr_s.map(u32::cast_signed),
            passthrough: defaulted(fields, "passthrough", true)?,
            access: defaulted(fields, "access", Access::default())?,
        })
    }
}

/// A field that `null` sets back to what is usual; `None` if it is not there.
fn defaulted<T: DeserializeOwned>(fields: &mut Fields, name: &'static str, usual: T) -> Result<Option<T>, ApiError> {
    Ok(match fields.patch(name)? {
        Patch::Keep => None,
        Patch::Clear => Some(usual),
        Patch::Set(value) => Some(value),
    })
}

/// Whether a ladder is one that a channel may have.
pub(crate) fn check_ladder(ladder: &Ladder) -> Result<(), ApiError> {
    let refuse = |reason: String| Err(invalid("ladder", reason));
    if ladder.rungs.is_empty() || ladder.rungs.len() > Ladder::RUNGS_MAX {
        return refuse(format!("must have 1 to {} rungs", Ladder::RUNGS_MAX));
    }
    for rung in &ladder.rungs {
        check_rung(rung)?;
    }
    let falls = |pair: &[Rung]| pair[0].height > pair[1].height;
    if !ladder.rungs.windows(2).all(falls) {
        return refuse("must name its rungs from the tallest to the smallest, each once".into());
    }
    let audio = ladder.audio_bitrate;
    check_range("ladder", "audio_bitrate ", audio, 32_000, 512_000)
}

fn check_rung(rung: &Rung) -> Result<(), ApiError> {
    check_range("ladder", "height ", rung.height, 64, HEIGHT_MAX)?;
    if rung.height % 2 == 1 {
        return Err(invalid("ladder", "height must be even".into()));
    }
    check_range("ladder", "bitrate ", rung.bitrate, 50_000, 100_000_000)
}

fn check_range(field: &'static str, part: &str, value: u32, least: u32, most: u32) -> Result<(), ApiError> {
    match (least..=most).contains(&value) {
        true => Ok(()),
        false => Err(invalid(field, format!("{part}must be {least} to {most}"))),
    }
}
