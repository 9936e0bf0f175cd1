//! Which part answers which path of the public port.

use axum::Router;
use std::net::SocketAddr;
use std::time::Instant;

use axum::body::Body;
use axum::extract::ConnectInfo;
use http::{Request, Response, header};
use hyper::body::Incoming;
use origin::Origin;
use tower::ServiceExt;

use crate::http::audience::Audience;

/// The parts behind the public port. Cloning is cheap.
#[derive(Clone)]
pub(crate) struct Public {
    /// Viewers: `/live/…`.
    pub(crate) origin: Origin,
    /// Counts those who ask for playlists.
    pub(crate) audience: Audience,
    /// Publishers: `/whip` and below.
    pub(crate) whip: Router,
    /// The control API: `/api/…`.
    pub(crate) api: Router,
    /// Pages: everything else.
    pub(crate) pages: Router,
}

impl Public {
    /// Answers one request. Viewers go straight to the origin: theirs is the hot path.
    pub(crate) async fn handle(self, request: Request<Incoming>) -> Response<Body> {
        let below = |prefix: &str| {
            let rest = request.uri().path().strip_prefix(prefix);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let router = match () {
            () if below("/live") => {
                self.count_viewer(&request);
                return self.origin.handle(request).await.map(Body::new);
            }
            () if below("/whip") => self.whip,
            () if below("/api") => self.api,
            () => self.pages,
        };
        match router.oneshot(request.map(Body::new)).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }

    /// Whoever asks for a playlist is a viewer.
    fn count_viewer(&self, request: &Request<Incoming>) {
        let Some(ConnectInfo(address)) = request.extensions().get::<ConnectInfo<SocketAddr>>() else { return };
        if request.uri().path().ends_with(".m3u8") {
            let agent = request.headers().get(header::USER_AGENT).map_or(&[][..], |agent| agent.as_bytes());
            self.audience.seen(address.ip(), agent, Instant::now());
        }
    }
}
