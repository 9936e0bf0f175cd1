//! `CODECS` strings (RFC 6381), from the bytes that stand in the sample entries and never from signalling.

use packager_transcode::wire::{Coding, Profile};
use thiserror::Error;

use crate::annexb::ParameterSets;
use crate::sps::{Sps, SpsError};

/// Everything that an init section of a video rendition needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VideoConfig {
    /// The parameter sets as they came.
    pub sets: ParameterSets,
    /// The first sequence parameter set, read.
    pub sps: Sps,
}

impl VideoConfig {
    /// Reads the parameter sets of an access unit.
    ///
    /// # Errors
    /// [`ConfigError`] where they are missing or unreadable.
    pub fn of(data: &[u8]) -> Result<Self, ConfigError> {
        let sets = crate::annexb::parameter_sets(data).ok_or(ConfigError::Missing)?;
        let sps = Sps::parse(&sets.sps[0])?;
        Ok(Self { sets, sps })
    }

    /// `avc1.PPCCLL`.
    #[must_use]
    pub fn codecs(&self) -> String {
        let Sps { profile, constraints, level, .. } = self.sps;
        format!("avc1.{profile:02x}{constraints:02x}{level:02x}")
    }
}

impl VideoConfig {
    /// Its profile and level, if an encoder that is given these writes the same [`Self::codecs`]: Constrained Baseline, Main
    /// and High, with the constraint flags that x264 sets.
    #[must_use]
    pub fn coding(&self) -> Option<Coding> {
        let profile = match (self.sps.profile, self.sps.constraints) {
            (66, 0xc0) => Profile::Baseline,
            (77, 0x40) => Profile::Main,
            (100, 0) => Profile::High,
            _ => return None,
        };
        Some(Coding { profile, level: Some(self.sps.level) })
    }
}

/// Everything that an init section of an audio rendition needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AudioConfig {
    /// The AudioSpecificConfig (ISO/IEC 14496-3 1.6).
    pub specific: Vec<u8>,
    /// Its `audioObjectType`.
    pub object_type: u8,
    /// Its channels.
    pub channels: u16,
    /// Its sample rate, in Hz.
    pub rate: u32,
}

/// `samplingFrequencyIndex` (ISO/IEC 14496-3 1.6.3.4).
const RATES: [u32; 13] =
    [96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350];

impl AudioConfig {
    /// Reads the first two bytes of an AudioSpecificConfig.
    ///
    /// # Errors
    /// [`ConfigError::Audio`] for what no encoder of ours makes: escaped object types and rates.
    pub fn of(specific: &[u8]) -> Result<Self, ConfigError> {
        let &[first, second, ..] = specific else {
            return Err(ConfigError::Audio);
        };
        let object_type = first >> 3;
        let rate = usize::from((first & 7) << 1 | second >> 7);
        let channels = u16::from(second >> 3 & 15);
        let rate = *RATES.get(rate).ok_or(ConfigError::Audio)?;
        if object_type == 0 || object_type == 31 || !(1..=6).contains(&channels) {
            return Err(ConfigError::Audio);
        }
        Ok(Self { specific: specific.to_vec(), object_type, channels, rate })
    }

    /// `mp4a.40.N`.
    #[must_use]
    pub fn codecs(&self) -> String {
        format!("mp4a.40.{}", self.object_type)
    }
}

/// Why a rendition has no init section yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ConfigError {
    /// No SPS and PPS in the unit.
    #[error("the unit has no parameter sets")]
    Missing,
    /// Unreadable SPS.
    #[error(transparent)]
    Sps(#[from] SpsError),
    /// Unreadable AudioSpecificConfig.
    #[error("the AudioSpecificConfig is not one of AAC")]
    Audio,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aac_lc_at_48_khz_stereo_is_read() {
        let config = AudioConfig::of(&[0x11, 0x90]).unwrap();
        assert_eq!((config.rate, config.channels), (48_000, 2));
        assert_eq!(config.codecs(), "mp4a.40.2");
    }

    #[test]
    fn what_no_encoder_makes_is_refused() {
        for bad in [&[][..], &[0x11], &[0, 0], &[0xff, 0xff], &[0x17, 0x90]] {
            assert_eq!(AudioConfig::of(bad), Err(ConfigError::Audio), "{bad:?}");
        }
    }
}
