//! Which part answers which path of the public port.

use std::future::ready;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::{Request, Response, StatusCode, header};
use hyper::body::{Body as _, Incoming};
use origin::Origin;
use tower::ServiceExt;

use super::audience::Audience;
use super::metrics::{Limit, Metrics};
use super::refusal::refuse;
use super::route::Route;

/// The longest path and query together, in bytes. The origin has a shorter limit of its own.
const URI_BYTES_MAX: usize = 8 * 1024;

/// The parts behind the public port.
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
    /// Counts all of it.
    pub(crate) metrics: Metrics,
}

impl Public {
    /// Answers one request. Viewers go straight to the origin: theirs is the hot path, and of their request nothing
    /// is kept while they wait.
    pub(crate) fn handle(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> impl Future<Output = Response<Body>> + Send + use<> {
        let method = request.method().clone();
        let route = Route::of(request.uri().path());
        let (route, answer) = match refused(&request) {
            Some((limit, response)) => {
                self.metrics.limited(limit);
                (Route::Other, ready(response).boxed())
            }
            None if route.is_live() => (route, self.live(route, request)),
            None => (route, Arc::clone(&self).other(route, request).boxed()),
        };
        answer.inspect(move |response| {
            count_limits(route, response.status(), &self.metrics);
            self.metrics.answered(route, &method, response.status());
        })
    }

    fn live(&self, route: Route, request: Request<Incoming>) -> BoxFuture<'static, Response<Body>> {
        self.count_viewer(&request);
        let began = Instant::now();
        let mut answer = self.origin.handle(request).map(|response| response.map(Body::new)).boxed();
        // The origin waits for nothing but media: an answer that is not there at once was held.
        match (&mut answer).now_or_never() {
            Some(response) => {
                self.metrics.took(route, began.elapsed());
                ready(response).boxed()
            }
            None => answer,
        }
    }

    async fn other(self: Arc<Self>, route: Route, request: Request<Incoming>) -> Response<Body> {
        let router = match route {
            Route::Whip => &self.whip,
            Route::Api => &self.api,
            _ => &self.pages,
        };
        let began = Instant::now();
        let response = match router.clone().oneshot(request.map(Body::new)).await {
            Ok(response) => response,
            Err(never) => match never {},
        };
        self.metrics.took(route, began.elapsed());
        response
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

/// What no part behind this port need see.
fn refused(request: &Request<Incoming>) -> Option<(Limit, Response<Body>)> {
    let uri = request.uri().path_and_query().map_or(0, |path| path.as_str().len());
    if uri > URI_BYTES_MAX {
        let response = refuse(StatusCode::URI_TOO_LONG, "uri_too_long", "The path and query are too long");
        return Some((Limit::UriTooLong, response));
    }
    let takes_bodies = matches!(Route::of(request.uri().path()), Route::Whip | Route::Api);
    if !takes_bodies && !request.body().is_end_stream() {
        let response = refuse(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", "No body is taken at this address");
        return Some((Limit::BodyTooLarge, response));
    }
    None
}

/// Counts the limits that the parts behind this port guard themselves.
fn count_limits(route: Route, status: StatusCode, metrics: &Metrics) {
    match status {
        _ if route == Route::Other => {}
        StatusCode::REQUEST_TIMEOUT => metrics.limited(Limit::BodyTimeout),
        StatusCode::PAYLOAD_TOO_LARGE => metrics.limited(Limit::BodyTooLarge),
        StatusCode::URI_TOO_LONG => metrics.limited(Limit::UriTooLong),
        _ => {}
    }
}
