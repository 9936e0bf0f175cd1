//! `headwater publish`: a test pattern with sound and a visible clock, over real WHIP.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ingest_rtc::send::Sender;
use packager_transcode::pattern::{Pattern, PatternConfig};
use reqwest::header::{CONTENT_TYPE, LOCATION};
use reqwest::{Client, Response, Url};
use schema::ladder::FrameRate;
use schema::{AccessUnit, MediaTime, TrackKind};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::console::say;
use crate::exit::Exit;

/// The arguments of `headwater publish`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The WHIP endpoint, such as `http://127.0.0.1:8080/whip`.
    #[arg(long, value_name = "URL")]
    whip: Url,
    /// The stream key.
    #[arg(long, value_name = "KEY", env = "HEADWATER_KEY", hide_env_values = true)]
    key: String,
    /// Ends after so many seconds; without it, at Ctrl-C.
    #[arg(long, value_name = "SECONDS")]
    duration: Option<f64>,
    /// The picture's size in pixels.
    #[arg(long, value_name = "WxH", default_value = "1280x720", value_parser = parse_size)]
    size: (u32, u32),
    /// Frames per second.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=60))]
    fps: u32,
    /// Video bit rate, in kbit/s.
    #[arg(long, default_value_t = 3000, value_parser = clap::value_parser!(u32).range(100..=50_000))]
    bitrate: u32,
}

/// Units between the encoder's thread and the network: a fifth of a second, so that a wished keyframe comes soon.
const QUEUE_UNITS: usize = 16;
/// How long an HTTP answer and the connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Reads `1280x720`: even numbers of 16 to 4096 pixels.
fn parse_size(text: &str) -> Result<(u32, u32), String> {
    let side = |text: &str| text.parse().ok().filter(|side| (16..=4096).contains(side) && side % 2 == 0);
    text.split_once('x')
        .and_then(|(width, height)| Some((side(width)?, side(height)?)))
        .ok_or_else(|| "must be WIDTHxHEIGHT, even numbers of 16 to 4096".to_owned())
}

/// Publishes until the duration is over, Ctrl-C, or the server ends the session.
pub(crate) async fn run(arguments: Arguments) -> Result<(), Exit> {
    let http = Client::builder().timeout(CONNECT_TIMEOUT).build().map_err(Exit::software)?;
    let (mut sender, offer) = Sender::offer().await.map_err(Exit::software)?;
    let answer = post(&http, &arguments, offer).await?;
    let session = session_url(&arguments.whip, &answer)?;
    sender.accept_answer(&answer.text().await.map_err(Exit::unavailable)?).await.map_err(Exit::unavailable)?;
    tokio::time::timeout(CONNECT_TIMEOUT, sender.connected())
        .await
        .map_err(|_elapsed| Exit::Unavailable("the media connection did not come up within 10 s".to_owned()))?
        .map_err(Exit::unavailable)?;
    say(serde_json::json!({ "event": "publishing", "session": session.path() }));
    let result = tokio::select! {
        result = stream(&mut sender, &arguments) => result,
        result = tokio::signal::ctrl_c() => result.map_err(Exit::software),
        () = terminated() => Ok(()),
    };
    // Best effort: the server notices the silence all the same.
    let _goodbye = http.delete(session).bearer_auth(&arguments.key).send().await;
    sender.close().await;
    result
}

async fn terminated() {
    match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        Ok(mut signal) => {
            signal.recv().await;
        }
        Err(_no_signals) => std::future::pending().await,
    }
}

/// `POST`s the offer; anything but 201 is an error in one line.
async fn post(http: &Client, arguments: &Arguments, offer: String) -> Result<Response, Exit> {
    let request = http
        .post(arguments.whip.clone())
        .bearer_auth(&arguments.key)
        .header(CONTENT_TYPE, "application/sdp")
        .body(offer);
    let answer =
        request.send().await.map_err(|error| Exit::Unavailable(format!("cannot reach {}: {error}", arguments.whip)))?;
    if answer.status() == reqwest::StatusCode::CREATED {
        return Ok(answer);
    }
    let status = answer.status();
    let told = answer.json::<schema::api::Problem>().await.map(|problem| problem.title).unwrap_or_default();
    Err(Exit::Unavailable(format!("{} answered {status} {told}", arguments.whip)))
}

/// The session's URL, by which it is ended.
fn session_url(endpoint: &Url, answer: &Response) -> Result<Url, Exit> {
    let location = answer.headers().get(LOCATION).and_then(|value| value.to_str().ok());
    location
        .and_then(|location| endpoint.join(location).ok())
        .ok_or_else(|| Exit::Unavailable("the answer has no usable Location".to_owned()))
}

/// Sends the pattern in its own time, and passes the server's wishes for keyframes on to it.
async fn stream(sender: &mut Sender, arguments: &Arguments) -> Result<(), Exit> {
    let keyframe = Arc::new(AtomicBool::new(false));
    let mut units = start_pattern(arguments, Arc::clone(&keyframe))?;
    let end = arguments.duration.map(Duration::from_secs_f64);
    let mut wished = std::pin::pin!(sender.keyframe_requested());
    let mut ended = std::pin::pin!(sender.ended());
    let start = Instant::now();
    loop {
        let unit = tokio::select! {
            () = &mut wished => {
                keyframe.store(true, Ordering::Release);
                wished.set(sender.keyframe_requested());
                continue;
            }
            _how = &mut ended => return Err(Exit::Unavailable("the server ended the session".to_owned())),
            Some(unit) = units.recv() => unit?,
            else => return Ok(()),
        };
        let due = Duration::from_micros(u64::try_from(unit.dts.to_micros()).unwrap_or(0));
        if end.is_some_and(|end| due >= end) {
            return Ok(());
        }
        tokio::time::sleep_until(start + due).await;
        send(sender, &unit).await?;
    }
}

async fn send(sender: &mut Sender, unit: &AccessUnit) -> Result<(), Exit> {
    let sent = match unit.codec.kind() {
        TrackKind::Video => sender.send_video(unit).await,
        TrackKind::Audio => sender.send_audio(unit).await,
    };
    sent.map_err(|error| Exit::Unavailable(format!("the server ended the session: {error}")))
}

/// Encodes on a thread of its own: it runs ahead until the queue is full.
fn start_pattern(
    arguments: &Arguments,
    keyframe: Arc<AtomicBool>,
) -> Result<mpsc::Receiver<Result<AccessUnit, Exit>>, Exit> {
    let config = PatternConfig {
        width: arguments.size.0,
        height: arguments.size.1,
        frame_rate: FrameRate::new(arguments.fps, 1),
        video_bitrate: arguments.bitrate * 1000,
        keyframe_interval: MediaTime::from_millis(2_000),
    };
    let mut pattern = Pattern::new(config).map_err(Exit::software)?;
    let (sender, receiver) = mpsc::channel(QUEUE_UNITS);
    let encode = move || loop {
        if keyframe.swap(false, Ordering::AcqRel) {
            pattern.force_keyframe();
        }
        let unit = pattern.next().map_err(Exit::software);
        let failed = unit.is_err();
        if sender.blocking_send(unit).is_err() || failed {
            break;
        }
    };
    std::thread::Builder::new().name("pattern".to_owned()).spawn(encode).map_err(Exit::software)?;
    Ok(receiver)
}
