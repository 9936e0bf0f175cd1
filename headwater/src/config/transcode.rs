//! How broadcasts are transcoded, and how much of the machine that may take.

use packager_transcode::encoder;
use serde::{Deserialize, Serialize};

/// Where the transcoder runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum TranscodeMode {
    /// In a worker process of the same binary, one per broadcast.
    Process,
    /// On threads of this process: a codec crash then ends everything.
    InProcess,
}

/// FFmpeg.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Transcode {
    /// Where the transcoder runs.
    pub(crate) mode: TranscodeMode,
    /// The video encoder's row in the candidates table.
    pub(crate) encoder: String,
    /// The video encoder's speed preset.
    pub(crate) preset: String,
    /// The cores that transcoding may use; unset means all that this process has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cores: Option<f64>,
    /// A new broadcast is refused that would take more of them than so many percent; 0 means none ever is.
    pub(crate) load_max_percent: u32,
}

impl Transcode {
    /// What all broadcasts may take together, in cores; `None`: anything.
    pub(crate) fn cores_max(&self) -> Option<f64> {
        let all = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let cores = self.cores.unwrap_or_else(|| u32::try_from(all()).map_or(1.0, f64::from));
        (self.load_max_percent > 0).then(|| cores * f64::from(self.load_max_percent) / 100.0)
    }

    /// Rules beyond types: the key that breaks one, and why.
    pub(super) fn check(&self) -> Result<(), (&'static str, &'static str)> {
        let Some(encoder) = encoder::candidates().iter().find(|known| known.name() == self.encoder) else {
            return Err(("encoder", "is not in the table of encoders"));
        };
        if !encoder.presets().contains(&self.preset.as_str()) {
            return Err(("preset", "is none that the encoder has"));
        }
        if self.cores.is_some_and(|cores| !(0.1..=1024.0).contains(&cores)) {
            return Err(("cores", "must be 0.1 to 1024"));
        }
        if !matches!(self.load_max_percent, 0 | 10..=1000) {
            return Err(("load_max_percent", "must be 0 (no limit) or 10 to 1000"));
        }
        Ok(())
    }
}

impl Default for Transcode {
    fn default() -> Self {
        Self {
            mode: TranscodeMode::Process,
            encoder: "libx264".to_owned(),
            preset: "veryfast".to_owned(),
            cores: None,
            load_max_percent: 90,
        }
    }
}
