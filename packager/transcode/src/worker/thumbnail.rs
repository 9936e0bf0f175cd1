//! Thumbnails: now and then the newest picture as a small JPEG.
//!
//! The video path offers its pictures; a thread of its own, at the lowest priority, makes the thumbnails. It never
//! holds the ladder up: while it is busy and one more picture waits, what is offered is left out. Nothing that fails
//! here ends the worker.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use bytes::Bytes;
use ffmpeg_next as ffmpeg;
use ffmpeg_next::{encoder, frame};
use schema::MediaTime;
use schema::ladder::PictureSize;

use super::WorkerError;
use super::outlet::Outlet;
use super::scale::{Scaler, Shape, matrix_name};
use crate::ffi;
use crate::wire::{Output, THUMBNAIL_BYTES_MAX, ThumbnailPlan};

/// How many pictures may wait to become one; when full, the next is left out.
const QUEUE: usize = 1;
/// The word for one that was left out.
const LEFT_OUT: &str = "thumbnail";
/// The widest one, in times its height: the shape of a picture that is wider yet is kept, with fewer lines.
const WIDTHS_PER_HEIGHT_MAX: u128 = 4;
/// The lowest priority that a thread can have, as the system counts.
const NICE: i32 = 19;

/// Offers pictures to the thread that makes thumbnails of them.
pub(super) struct Thumbnails(Option<Offers>);

struct Offers {
    interval: MediaTime,
    /// When the next one is to be made: the first at once, the second after half an interval.
    due: Option<MediaTime>,
    pictures: SyncSender<frame::Video>,
    outlet: Outlet,
}

/// What `plan` asks for, and what its thread is to run; nothing where it asks for none.
pub(super) fn new(
    plan: Option<&ThumbnailPlan>,
    outlet: &Outlet,
) -> (Thumbnails, Option<impl FnOnce() -> Result<(), WorkerError> + Send + use<>>) {
    let Some(plan) = plan.cloned() else { return (Thumbnails(None), None) };
    let (sender, pictures) = sync_channel(QUEUE);
    let offers = Offers { interval: plan.interval, due: None, pictures: sender, outlet: outlet.clone() };
    let maker = Maker { plan, tools: None, outlet: outlet.clone() };
    (Thumbnails(Some(offers)), Some(move || maker.run(&pictures)))
}

impl Thumbnails {
    /// Takes note of the newest picture; never waits for a thumbnail.
    pub(super) fn offer(&mut self, picture: &frame::Video) {
        let (Some(offers), Some(pts)) = (&mut self.0, picture.pts().map(MediaTime)) else { return };
        if offers.due.is_some_and(|due| pts < due) {
            return;
        }
        // The first picture of a broadcast is often a blank one: it does not stand for a whole interval.
        let wait = if offers.due.is_some() { offers.interval } else { MediaTime(offers.interval.0 / 2) };
        offers.due = Some(pts + wait);
        let taken = ffi::share(picture).is_ok_and(|picture| offers.pictures.try_send(picture).is_ok());
        if !taken {
            // If nobody reads any more, the writer's own error says so.
            let _ = offers.outlet.discarded(LEFT_OUT);
        }
    }
}

/// The thread's side.
struct Maker {
    plan: ThumbnailPlan,
    tools: Option<Tools>,
    outlet: Outlet,
}

impl Maker {
    /// Makes thumbnails until nobody offers pictures any more, or nobody reads.
    fn run(mut self, pictures: &Receiver<frame::Video>) -> Result<(), WorkerError> {
        // On Linux this is about the calling thread alone. Where it is forbidden, the thread runs as all others do.
        let _ = rustix::process::setpriority_process(None, NICE);
        while let Ok(picture) = pictures.recv() {
            match self.make(&picture) {
                Ok(thumbnail) => self.outlet.say(thumbnail)?,
                Err(_) => self.outlet.discarded(LEFT_OUT)?,
            }
        }
        Ok(())
    }

    fn make(&mut self, picture: &frame::Video) -> Result<Output, ffmpeg::Error> {
        let shape = Shape::of(picture);
        let kept = self.tools.take().filter(|tools| tools.scaler.shape() == shape);
        let mut tools = kept.map_or_else(|| Tools::new(shape, &self.plan), Ok)?;
        let data = tools.jpeg(picture)?;
        let size = tools.size;
        // Tools that failed are not used again.
        self.tools = Some(tools);
        if data.len() > THUMBNAIL_BYTES_MAX {
            return Err(ffmpeg::Error::BufferTooSmall);
        }
        Ok(Output::Thumbnail { pts: MediaTime(picture.pts().unwrap_or_default()), size, data })
    }
}

/// What makes thumbnails of pictures of one shape.
struct Tools {
    scaler: Scaler,
    encoder: encoder::video::Encoder,
    size: PictureSize,
    made: i64,
}

impl Tools {
    fn new(shape: Shape, plan: &ThumbnailPlan) -> Result<Self, ffmpeg::Error> {
        let size = size(&shape, plan.height);
        let scaler = Scaler::of_specification(shape, &specification(&shape, size), 1)?;
        Ok(Self { scaler, encoder: open(size, plan.quality)?, size, made: 0 })
    }

    fn jpeg(&mut self, picture: &frame::Video) -> Result<Bytes, ffmpeg::Error> {
        let mut small = self.scaler.scale(picture)?.pop().ok_or(ffmpeg::Error::InvalidData)?;
        small.set_color_range(ffmpeg::color::Range::JPEG);
        small.set_pts(Some(self.made));
        small.set_kind(ffmpeg::picture::Type::None);
        self.made += 1;
        self.encoder.send_frame(&small)?;
        let mut packet = ffmpeg::Packet::empty();
        self.encoder.receive_packet(&mut packet)?;
        packet.data().map(Bytes::copy_from_slice).ok_or(ffmpeg::Error::InvalidData)
    }
}

/// A JPEG file is full-range BT.601 to all who show it (JFIF 1.02). 4:2:0 that says so by its range is what FFmpeg
/// wants in place of the deprecated pixel format of that name. Who says nothing of his colours means those that the
/// ladder takes them for.
fn specification(shape: &Shape, size: PictureSize) -> String {
    let matrix = matrix_name(shape.matrix).unwrap_or("bt709");
    let range = if shape.range == ffmpeg::color::Range::JPEG { "pc" } else { "tv" };
    format!(
        "[source]scale={}:{}:flags=bicubic:in_color_matrix={matrix}:out_color_matrix=bt601:in_range={range}:out_range=pc,\
         format=yuv420p,setsar=1[out0]",
        size.width, size.height,
    )
}

fn open(size: PictureSize, quality: u8) -> Result<encoder::video::Encoder, ffmpeg::Error> {
    let codec = encoder::find(ffmpeg::codec::Id::MJPEG).ok_or(ffmpeg::Error::EncoderNotFound)?;
    let mut context = ffmpeg::codec::Context::new_with_codec(codec);
    // More threads give each picture only after others.
    context.set_threading(ffmpeg::threading::Config { count: 1, ..ffmpeg::threading::Config::default() });
    context.set_time_base((1, 1));
    let mut encoder = context.encoder().video()?;
    encoder.set_width(size.width);
    encoder.set_height(size.height);
    encoder.set_format(ffmpeg::format::Pixel::YUV420P);
    encoder.set_color_range(ffmpeg::color::Range::JPEG);
    encoder.set_aspect_ratio((1, 1));
    let quality = i32::from(quality.clamp(2, 31));
    encoder.set_qmin(quality);
    encoder.set_qmax(quality);
    encoder.open()
}

/// The largest even size of the source's shape, in square pixels, that has at most `height` lines and no more than
/// the source.
fn size(shape: &Shape, height: u32) -> PictureSize {
    let (source, (across, down)) = (shape.size, shape.pixel_aspect);
    let factor = |value: i32| u128::from(value.unsigned_abs().max(1));
    let lines = u128::from(source.height.max(1)) * factor(down);
    let columns = u128::from(source.width.max(1)) * factor(across);
    let height = u128::from(even(height.min(source.height).into()));
    let width_max = height * WIDTHS_PER_HEIGHT_MAX;
    // The nearest even number, the lower one of two.
    let width = (height * columns + lines - 1) / (2 * lines) * 2;
    PictureSize { width: even(width.min(width_max)), height: even(height.min(width_max * lines / columns)) }
}

/// The even number at or below `pixels`, 2 at least.
fn even(pixels: u128) -> u32 {
    u32::try_from(pixels / 2 * 2).unwrap_or(2).max(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(width: u32, height: u32, pixel_aspect: (i32, i32)) -> (u32, u32) {
        let mut picture = frame::Video::new(ffmpeg::format::Pixel::YUV420P, 2, 2);
        picture.set_width(width);
        picture.set_height(height);
        let mut shape = Shape::of(&picture);
        shape.pixel_aspect = pixel_aspect;
        let size = size(&shape, 360);
        (size.width, size.height)
    }

    #[test]
    fn the_shape_is_kept_and_nothing_is_enlarged() {
        assert_eq!(of(1920, 1080, (1, 1)), (640, 360));
        assert_eq!(of(720, 1280, (1, 1)), (202, 360));
        assert_eq!(of(1440, 1080, (4, 3)), (640, 360), "square pixels");
        assert_eq!(of(320, 180, (1, 1)), (320, 180));
        assert_eq!(of(319, 181, (1, 1)), (318, 180));
        assert_eq!(of(854, 480, (1, 1)), (640, 360));
        assert_eq!(of(3840, 1600, (1, 1)), (864, 360));
    }

    #[test]
    fn no_shape_makes_it_huge_or_nothing() {
        assert_eq!(of(16_384, 2, (1, 1)), (8, 2));
        assert_eq!(of(2, 16_384, (1, 1)), (2, 360));
        assert_eq!(of(16_384, 1_024, (1, 1)), (1440, 90));
        assert_eq!(of(1_280, 720, (i32::MAX, 1)), (1440, 2));
        assert_eq!(of(1_280, 720, (1, i32::MAX)), (2, 360));
    }

    #[test]
    fn while_one_waits_the_next_is_left_out() {
        let (outlet, said) = super::super::outlet::channel();
        let plan = ThumbnailPlan { interval: MediaTime::SECOND, height: 360, quality: 5 };
        let (mut thumbnails, work) = new(Some(&plan), &outlet);
        for millis in [0, 400, 500, 1_400, 1_500] {
            let mut picture = frame::Video::new(ffmpeg::format::Pixel::YUV420P, 2, 2);
            picture.set_pts(Some(MediaTime::from_millis(millis).0));
            thumbnails.offer(&picture);
        }
        drop(thumbnails);
        work.unwrap()().unwrap();
        drop(outlet);
        let said: Vec<_> = said.iter().collect();
        let left_out = Output::Discarded { reason: LEFT_OUT.into() };
        assert_eq!(said[..2], [left_out.clone(), left_out]);
        assert!(matches!(said[2..], [Output::Thumbnail { pts: MediaTime::ZERO, .. }]), "{said:?}");
    }

    #[test]
    fn what_cannot_be_made_is_counted_and_the_next_is_made() {
        let (outlet, said) = super::super::outlet::channel();
        let plan = ThumbnailPlan { interval: MediaTime::SECOND, height: 360, quality: 5 };
        let (mut thumbnails, work) = new(Some(&plan), &outlet);
        let maker = std::thread::spawn(work.unwrap());
        let mut offer = |millis, format| {
            let mut picture = frame::Video::new(format, 64, 36);
            picture.set_pts(Some(MediaTime::from_millis(millis).0));
            thumbnails.offer(&picture);
            said.recv().unwrap()
        };
        let failed = offer(0, ffmpeg::format::Pixel::VAAPI);
        assert_eq!(failed, Output::Discarded { reason: LEFT_OUT.into() });
        assert!(matches!(offer(1_000, ffmpeg::format::Pixel::YUV420P), Output::Thumbnail { .. }));
        drop(thumbnails);
        maker.join().unwrap().unwrap();
    }
}
