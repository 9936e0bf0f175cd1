//! x264: the software encoder that every machine can run.

use schema::Codec;

use super::{Backend, Speed, Target};

/// The row of x264.
pub(super) struct Libx264;

impl Backend for Libx264 {
    fn name(&self) -> &'static str {
        "libx264"
    }

    fn codec(&self) -> Codec {
        Codec::H264
    }

    fn presets(&self) -> &'static [&'static str] {
        &["ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow"]
    }

    /// x264 itself picks the lowest level that fits size, frame rate and bit rate where none is asked for, writes VUI timing
    /// from the frame rate, and repeats the parameter sets as long as nobody asks for a global header.
    ///
    /// The faster presets keep what stands in the parameter sets of `veryfast`: CABAC, the 8×8 transform, weighted
    /// prediction, one reference. `superfast` does by itself. They take about 65 % and 40 % of its time.
    fn options(&self, target: &Target<'_>) -> Vec<(&'static str, String)> {
        let (preset, kept) = match target.speed {
            Speed::Preset => (target.preset, ""),
            Speed::Faster => ("superfast", ""),
            Speed::Fastest => ("ultrafast", ":cabac=1:8x8dct=1:weightp=1"),
        };
        let coding = target.video.coding;
        let mut options = vec![
            ("preset", preset.to_owned()),
            ("tune", "zerolatency".to_owned()),
            ("profile", coding.profile.as_str().to_owned()),
            ("bf", "0".to_owned()),
            ("sc_threshold", "0".to_owned()),
            ("forced-idr", "1".to_owned()),
            ("x264-params", format!("keyint=infinite:open-gop=0{kept}")),
        ];
        options.extend(coding.level.map(|level| ("level", level.to_string())));
        options
    }
}
