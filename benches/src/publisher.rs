//! A WHIP publisher that only sends: what it sends was encoded before.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use http::StatusCode;
use ingest_rtc::send::Sender;
use schema::{AccessUnit, MediaTime, TrackKind};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::client::Connection;
use crate::node::Channel;

/// How long the media connection may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(20);

/// What is sent again and again.
#[derive(Debug, Clone)]
pub struct Clip {
    /// By time, all before `length`.
    pub units: Arc<[AccessUnit]>,
    /// From its first unit to where it begins again.
    pub length: MediaTime,
}

/// Publishes to a channel until it is told to stop; begins to send at `start`.
///
/// # Errors
/// The node refuses it, or ends it.
pub async fn publish(
    node: SocketAddr,
    channel: Channel,
    clip: Clip,
    start: Instant,
    stop: CancellationToken,
) -> Result<()> {
    let mut sender = connect(node, &channel).await?;
    let ended = sender.ended();
    let result = tokio::select! {
        result = send(&mut sender, &clip, start) => result,
        how = ended => Err(anyhow::anyhow!("the node ended {}: {how:?}", channel.name)),
        () = stop.cancelled() => Ok(()),
    };
    sender.close().await;
    result
}

async fn connect(node: SocketAddr, channel: &Channel) -> Result<Sender> {
    let (sender, offer) = Sender::offer().await?;
    let mut http = Connection::open(node, None).await?;
    let answer = http.post("/whip", &channel.key, "application/sdp", offer.into()).await?;
    let text = String::from_utf8_lossy(&answer.body);
    ensure!(answer.status == StatusCode::CREATED, "POST /whip: {} {text}", answer.status);
    sender.accept_answer(&text).await?;
    timeout(CONNECT_LIMIT, sender.connected()).await.context("the media connection does not come up")??;
    Ok(sender)
}

async fn send(sender: &mut Sender, clip: &Clip, start: Instant) -> Result<()> {
    for round in 0.. {
        for unit in clip.units.iter() {
            let pts = MediaTime(unit.pts.0 + clip.length.0 * round);
            let due = Duration::from_micros(u64::try_from(pts.to_micros())?);
            sleep_until(start + due).await;
            let unit = AccessUnit { pts, dts: pts, ..unit.clone() };
            match unit.codec.kind() {
                TrackKind::Video => sender.send_video(&unit).await?,
                TrackKind::Audio => sender.send_audio(&unit).await?,
            }
        }
    }
    Ok(())
}
