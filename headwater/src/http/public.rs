//! Which part answers which path of the public port.

use axum::Router;
use axum::body::Body;
use http::{Request, Response};
use hyper::body::Incoming;
use origin::Origin;
use tower::ServiceExt;

/// The parts behind the public port. Cloning is cheap.
#[derive(Clone)]
pub(crate) struct Public {
    /// Viewers: `/live/…`.
    pub(crate) origin: Origin,
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
            () if below("/live") => return self.origin.handle(request).await.map(Body::new),
            () if below("/whip") => self.whip,
            () if below("/api") => self.api,
            () => self.pages,
        };
        match router.oneshot(request.map(Body::new)).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}
