//! Which part answers which path of the public port.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
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
    /// Answers one request. Viewers go straight to the origin: theirs is the hot path.
    pub(crate) async fn handle(self: Arc<Self>, request: Request<Incoming>) -> Response<Body> {
        let method = request.method().clone();
        let metrics = &self.metrics;
        let (route, response) = match refused(&request) {
            Some((limit, response)) => {
                metrics.limited(limit);
                (Route::Other, response)
            }
            None => {
                let route = Route::of(request.uri().path());
                let response = if route.is_live() {
                    self.live(route, request).await
                } else {
                    Box::pin(self.other(route, request)).await
                };
                (route, response)
            }
        };
        count_limits(route, response.status(), metrics);
        metrics.answered(route, &method, response.status());
        response
    }

    async fn live(&self, route: Route, request: Request<Incoming>) -> Response<Body> {
        self.count_viewer(&request);
        let began = Instant::now();
        let mut answer = pin!(self.origin.handle(request));
        // The origin waits for nothing but media: an answer that is not there at once was held.
        let at_once = std::future::poll_fn(|cx| Poll::Ready(answer.as_mut().poll(cx))).await;
        let response = match at_once {
            Poll::Ready(response) => {
                self.metrics.took(route, began.elapsed());
                response
            }
            Poll::Pending => answer.await,
        };
        response.map(Body::new)
    }

    async fn other(&self, route: Route, request: Request<Incoming>) -> Response<Body> {
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
