//! The lists for rewinding, and the files behind them.

use std::sync::Arc;

use packager::live::LiveDvr;
use packager::playlist::dvr::DvrSnapshot;
use tokio::sync::watch;

use super::decide::{Decision, decide_dvr};
use super::directive::{Directive, Form};
use super::directory::Listed;
use super::route::Place;
use super::serve::{Wait, playlist_content};
use crate::origin::Origin;
use crate::refusal::Refusal;
use crate::reply::{Content, Encoding};

/// The multivariant playlist of the lists for rewinding.
pub(crate) fn multivariant(listed: &Listed, encoding: Encoding) -> Result<Content, Refusal> {
    let broadcast = &listed.broadcast;
    let body = match encoding {
        Encoding::Gzip => listed.dvr_multivariant_gzip(),
        Encoding::Identity => broadcast.dvr_multivariant.get().cloned(),
    };
    let tag = format!("{}-{}-dvr", broadcast.id, broadcast.incarnation);
    body.map(|body| playlist_content(body, encoding, &tag)).ok_or(Refusal::DvrUnknown)
}

/// A media playlist for rewinding, once its directive is fulfilled.
pub(crate) async fn playlist(
    origin: &Origin,
    place: &Place,
    directive: Directive,
    form: Form,
    encoding: Encoding,
) -> Result<Content, Refusal> {
    let dvr = place.rendition().dvr.as_ref().ok_or(Refusal::DvrUnknown)?;
    let snapshot = settled(origin, dvr, directive).await?;
    let delta = snapshot.delta().filter(|_| form == Form::Delta);
    let body = match (delta, encoding) {
        (Some(delta), Encoding::Gzip) => &delta.gzip,
        (Some(delta), Encoding::Identity) => &delta.plain,
        (None, Encoding::Gzip) => snapshot.gzip(),
        (None, Encoding::Identity) => snapshot.plain(),
    };
    let kind = if delta.is_some() { "-delta" } else { "" };
    let tag = format!("{}-dvr-{}{kind}", place.listed.broadcast.incarnation, snapshot.revision);
    Ok(playlist_content(body.clone(), encoding, &tag))
}

/// The newest revision, or the first later one, that fulfils `directive`.
async fn settled(origin: &Origin, dvr: &LiveDvr, directive: Directive) -> Result<Arc<DvrSnapshot>, Refusal> {
    let mut snapshots: watch::Receiver<_> = dvr.snapshot.clone();
    let mut wait = None;
    loop {
        let newest = Arc::clone(&snapshots.borrow_and_update());
        match decide_dvr(directive, &newest) {
            Decision::Serve => return Ok(newest),
            Decision::Refuse(reason) if wait.is_none() => return Err(reason.into()),
            Decision::Refuse(_) | Decision::Wait => {}
        }
        if wait.is_none() {
            wait = Some(Wait::begin(origin, newest.target_duration_s())?);
        }
        // A waiter must not keep an old list in memory.
        drop(newest);
        if let Some(wait) = &wait {
            wait.change(&mut snapshots).await?;
        }
    }
}
