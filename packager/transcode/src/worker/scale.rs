//! From one decoded picture to one per rendition: an FFmpeg filter graph that scales in cascade.
//!
//! The largest rendition is scaled from the source, with black bars where its shape differs; each
//! further one from the one before. The graph is made for one shape of source and remade when that
//! changes; the sizes that come out never change.

use std::fmt::Write as _;

use ffmpeg_next as ffmpeg;
use ffmpeg_next::frame;
use schema::ladder::PictureSize;

use crate::ffi;
use crate::wire::VideoPlan;

/// Everything of a source picture that the graph depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) size: PictureSize,
    format: ffmpeg::format::Pixel,
    /// Width to height of one pixel.
    pub(super) pixel_aspect: (i32, i32),
    pub(super) matrix: ffmpeg::color::Space,
    pub(super) range: ffmpeg::color::Range,
}

impl Shape {
    pub(super) fn of(picture: &frame::Video) -> Self {
        let aspect = picture.aspect_ratio();
        let known = aspect.numerator() > 0 && aspect.denominator() > 0;
        Self {
            size: PictureSize { width: picture.width(), height: picture.height() },
            format: picture.format(),
            pixel_aspect: if known { (aspect.numerator(), aspect.denominator()) } else { (1, 1) },
            matrix: picture.color_space(),
            range: picture.color_range(),
        }
    }
}

/// The graph for one shape of source.
pub(super) struct Scaler {
    shape: Shape,
    graph: ffmpeg::filter::Graph,
    outputs: Vec<String>,
}

impl Scaler {
    /// A graph from pictures of `shape` to those of `renditions`, largest first.
    pub(super) fn new(shape: Shape, renditions: &[VideoPlan]) -> Result<Self, ffmpeg::Error> {
        Self::of_specification(shape, &specification(&shape, renditions), renditions.len())
    }

    /// A graph in FFmpeg's words, from `[source]` to `[out0]` and so on.
    pub(super) fn of_specification(shape: Shape, text: &str, outputs: usize) -> Result<Self, ffmpeg::Error> {
        let mut graph = ffmpeg::filter::Graph::new();
        let outputs: Vec<String> = (0..outputs).map(|i| format!("out{i}")).collect();
        graph.add(&filter("buffer")?, "source", &source_arguments(&shape)?)?;
        for output in &outputs {
            graph.add(&filter("buffersink")?, output, "")?;
        }
        let mut parser = graph.output("source", 0)?;
        for output in &outputs {
            parser = parser.input(output, 0)?;
        }
        parser.parse(text)?;
        graph.validate()?;
        Ok(Self { shape, graph, outputs })
    }

    pub(super) fn shape(&self) -> Shape {
        self.shape
    }

    /// One picture per rendition, in the plan's order.
    pub(super) fn scale(&mut self, picture: &frame::Video) -> Result<Vec<frame::Video>, ffmpeg::Error> {
        let missing = ffmpeg::Error::FilterNotFound;
        // The source takes the reference that it is given: it gets one of its own.
        let picture = ffi::share(picture)?;
        self.graph.get("source").ok_or(missing)?.source().add(&picture)?;
        let mut scaled = Vec::with_capacity(self.outputs.len());
        for output in &self.outputs {
            let mut picture = frame::Video::empty();
            self.graph.get(output).ok_or(missing)?.sink().frame(&mut picture)?;
            scaled.push(picture);
        }
        Ok(scaled)
    }
}

fn filter(name: &str) -> Result<ffmpeg::Filter, ffmpeg::Error> {
    ffmpeg::filter::find(name).ok_or(ffmpeg::Error::FilterNotFound)
}

fn source_arguments(shape: &Shape) -> Result<String, ffmpeg::Error> {
    let format = shape.format.descriptor().ok_or(ffmpeg::Error::InvalidData)?;
    Ok(format!(
        "video_size={}x{}:pix_fmt={}:time_base=1/{}:pixel_aspect=1/1",
        shape.size.width,
        shape.size.height,
        format.name(),
        schema::MediaTime::PER_SECOND,
    ))
}

/// The graph in FFmpeg's words: `[source]… split=2[out0][c1];[c1]… [out1]`.
fn specification(shape: &Shape, renditions: &[VideoPlan]) -> String {
    let mut text = String::new();
    // From what the next one is scaled, as long as that is as large as the source.
    let mut whole = Some(shape.size);
    for (index, rendition) in renditions.iter().enumerate() {
        let size = PictureSize { width: rendition.width, height: rendition.height };
        let steps = if index == 0 {
            format!("[source]{}", first_step(shape, size))
        } else {
            let flags = whole.map_or(BICUBIC, |source| first_flags(source, size));
            format!(";[c{index}]scale={}:{}:flags={flags}", size.width, size.height)
        };
        text.push_str(&steps);
        whole = whole.filter(|&source| source == size);
        // Writing to a string cannot fail.
        let _ = if index + 1 < renditions.len() {
            write!(text, ",split=2[out{index}][c{}]", index + 1)
        } else {
            write!(text, "[out{index}]")
        };
    }
    text
}

/// How pictures become smaller, in FFmpeg's words.
const BICUBIC: &str = "bicubic";
/// Each pixel is the mean of those that it covers.
const AREA: &str = "area";

/// How the first one that is smaller is made of a picture as large as the source. Down to two thirds the mean takes a third less
/// time than the bicubic filter and looks the same (SSIM lower by 0.001 there and in all that is scaled from it); done again,
/// or farther down, it would be seen.
fn first_flags(source: PictureSize, size: PictureSize) -> &'static str {
    let is_little = |from: u32, to: u32| to < from && u64::from(to) * 3 >= u64::from(from) * 2;
    if is_little(source.width, size.width) && is_little(source.height, size.height) { AREA } else { BICUBIC }
}

/// Source to the largest rendition: square pixels, 8-bit 4:2:0 in limited-range BT.709, black bars.
fn first_step(shape: &Shape, size: PictureSize) -> String {
    let PictureSize { width, height } = size;
    let inner = fitted(shape.size, shape.pixel_aspect, size);
    let (flags, colours) = (first_flags(shape.size, inner), colour_arguments(shape));
    let mut text = format!("scale={}:{}:flags={flags}{colours},format=yuv420p", inner.width, inner.height);
    if inner != size {
        let (x, y) = ((width - inner.width) / 4 * 2, (height - inner.height) / 4 * 2);
        // Writing to a string cannot fail.
        let _ = write!(text, ",pad={width}:{height}:{x}:{y}:color=black");
    }
    text + ",setsar=1,setparams=range=tv:color_primaries=bt709:color_trc=bt709:colorspace=bt709"
}

/// Converts only what is said to be something else: pictures without a word about their colours pass as they are.
fn colour_arguments(shape: &Shape) -> String {
    let mut text = String::new();
    if let Some(matrix) = matrix_name(shape.matrix) {
        text += &format!(":in_color_matrix={matrix}:out_color_matrix=bt709");
    }
    if shape.range == ffmpeg::color::Range::JPEG {
        text += ":in_range=pc:out_range=tv";
    }
    text
}

/// The name of a matrix other than BT.709's; `None` for that one and for no word about it.
pub(super) fn matrix_name(matrix: ffmpeg::color::Space) -> Option<&'static str> {
    use ffmpeg::color::Space;
    match matrix {
        Space::BT470BG | Space::SMPTE170M => Some("bt601"),
        Space::SMPTE240M => Some("smpte240m"),
        Space::FCC => Some("fcc"),
        Space::BT2020NCL | Space::BT2020CL => Some("bt2020"),
        _ => None,
    }
}

/// The largest even size within `into` that has the shape of `size` with pixels of that aspect.
/// A difference of less than two pixels is no reason for bars: the picture is stretched over it.
fn fitted(size: PictureSize, pixel_aspect: (i32, i32), into: PictureSize) -> PictureSize {
    let factor = |value: i32| u64::from(value.unsigned_abs().max(1));
    let shown_width = u64::from(size.width.max(1)) * factor(pixel_aspect.0);
    let shown_height = u64::from(size.height.max(1)) * factor(pixel_aspect.1);
    let width = u128::from(into.height) * u128::from(shown_width) / u128::from(shown_height);
    let height = u128::from(into.width) * u128::from(shown_height) / u128::from(shown_width);
    PictureSize { width: snapped(width, into.width), height: snapped(height, into.height) }
}

fn snapped(wished: u128, whole: u32) -> u32 {
    match u32::try_from(wished) {
        Ok(wished) if wished + 2 < whole => (wished / 2 * 2).max(2),
        _ => whole,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(width: u32, height: u32) -> PictureSize {
        PictureSize { width, height }
    }

    #[test]
    fn a_picture_of_the_same_shape_fills_the_rendition() {
        assert_eq!(fitted(size(1920, 1080), (1, 1), size(1280, 720)), size(1280, 720));
        assert_eq!(fitted(size(640, 360), (1, 1), size(854, 480)), size(854, 480));
        assert_eq!(fitted(size(1440, 1080), (4, 3), size(1280, 720)), size(1280, 720));
    }

    #[test]
    fn only_the_first_little_step_down_is_a_mean() {
        let rung = |(width, height)| VideoPlan {
            rendition: 0,
            width,
            height,
            bitrate: 1,
            bitrate_max: 1,
            buffer_ms: 1,
            threads: 1,
            coding: crate::wire::Coding::default(),
        };
        let flags = |source: (u32, u32), rungs: &[(u32, u32)]| {
            let mut picture = frame::Video::new(ffmpeg::format::Pixel::YUV420P, source.0, source.1);
            picture.set_color_range(ffmpeg::color::Range::MPEG);
            let rungs: Vec<VideoPlan> = rungs.iter().copied().map(rung).collect();
            let text = specification(&Shape::of(&picture), &rungs);
            let found = text.split("flags=").skip(1).map(|rest| rest.split([':', ',', '[']).next().unwrap().to_owned());
            found.collect::<Vec<_>>()
        };
        let ladder = [(1280, 720), (854, 480), (640, 360)];
        assert_eq!(flags((1280, 720), &ladder), ["bicubic", "area", "bicubic"], "the largest is the source");
        assert_eq!(flags((1920, 1080), &ladder), ["area", "bicubic", "bicubic"]);
        assert_eq!(flags((1280, 720), &[(640, 360)]), ["bicubic"], "a half");
        assert_eq!(flags((320, 180), &ladder), ["bicubic", "bicubic", "bicubic"], "larger, and never the mean of that");
    }

    #[test]
    fn another_shape_gets_bars_and_never_exceeds_the_rendition() {
        assert_eq!(fitted(size(640, 480), (1, 1), size(1280, 720)), size(960, 720));
        assert_eq!(fitted(size(720, 1280), (1, 1), size(1280, 720)), size(404, 720));
        assert_eq!(fitted(size(2560, 1080), (1, 1), size(1280, 720)), size(1280, 540));
        assert_eq!(fitted(size(2, 16_384), (1, 1), size(1280, 720)), size(2, 720));
        assert_eq!(fitted(size(16_384, 2), (i32::MAX, 1), size(1280, 720)), size(1280, 2));
    }
}
