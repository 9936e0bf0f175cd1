//! Figures of the HTTP ports. The doc comment of each field is its help text.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode};
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    core::Collector,
};

use super::route::Route;

/// Upper bounds of the answers' histogram, in seconds.
const ANSWER_BUCKETS_S: [f64; 11] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.25, 1.0, 2.5, 10.0];

/// The classes of status.
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// Whom a port serves: the label `port` of all its figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Port {
    /// `http.listen`.
    Public,
    /// `http.redirect_listen`.
    Redirect,
    /// `ops.listen`.
    Ops,
}

impl Port {
    fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Redirect => "redirect",
            Self::Ops => "ops",
        }
    }
}

/// How bytes travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    /// Bare TCP.
    Plain,
    /// TLS.
    Tls,
}

impl Transport {
    fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Tls => "tls",
        }
    }
}

/// What a connection has turned out to speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// Nothing said yet.
    Unknown,
    /// HTTP/1.0 or HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
}

impl Protocol {
    fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Http1 => "h1",
            Self::Http2 => "h2",
        }
    }
}

/// Which limit was met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Limit {
    /// `limits.connections_max` were open: the new one was closed at once.
    Connections,
    /// One address had `limits.connections_per_address` open: the new one was closed at once.
    ConnectionsPerAddress,
    /// Too many TLS handshakes were under way: the new connection was closed at once.
    Handshakes,
    /// A TLS handshake took too long.
    HandshakeTimeout,
    /// The header of a request took too long.
    HeaderTimeout,
    /// The header of a request was too large, or had too many fields.
    HeaderTooLarge,
    /// The path and query of a request were too long.
    UriTooLong,
    /// A request brought a body where none belongs, or a too large one.
    BodyTooLarge,
    /// The body of a request took too long.
    BodyTimeout,
    /// The client did not read its answers.
    WriteStalled,
    /// The connection did not end in time after it was asked to.
    CloseTimeout,
}

impl Limit {
    const ALL: [Self; 11] = [
        Self::Connections,
        Self::ConnectionsPerAddress,
        Self::Handshakes,
        Self::HandshakeTimeout,
        Self::HeaderTimeout,
        Self::HeaderTooLarge,
        Self::UriTooLong,
        Self::BodyTooLarge,
        Self::BodyTimeout,
        Self::WriteStalled,
        Self::CloseTimeout,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Self::Connections => "connections_max",
            Self::ConnectionsPerAddress => "connections_per_address",
            Self::Handshakes => "handshakes_max",
            Self::HandshakeTimeout => "handshake_timeout",
            Self::HeaderTimeout => "header_timeout",
            Self::HeaderTooLarge => "header_too_large",
            Self::UriTooLong => "uri_too_long",
            Self::BodyTooLarge => "body_too_large",
            Self::BodyTimeout => "body_timeout",
            Self::WriteStalled => "write_stalled",
            Self::CloseTimeout => "close_timeout",
        }
    }
}

/// Figures of one port. Cloning shares, and is cheap.
#[derive(Debug, Clone)]
pub(crate) struct Metrics(Arc<Figures>);

impl Deref for Metrics {
    type Target = Figures;

    fn deref(&self) -> &Figures {
        &self.0
    }
}

/// What [`Metrics`] share.
#[derive(Debug)]
pub(crate) struct Figures {
    /// Open connections by transport and protocol.
    open: IntGaugeVec,
    /// Connections accepted.
    pub(crate) accepted: IntCounter,
    /// Connections and requests ended by a limit, by which.
    limited: IntCounterVec,
    /// Bytes received, with TLS and HTTP framing.
    pub(crate) received: IntCounter,
    /// Bytes sent, with TLS and HTTP framing.
    pub(crate) sent: IntCounter,
    /// Requests answered, by route, method and status class.
    requests: IntCounterVec,
    /// From the end of a request's header to its answer, by route, without requests that waited for media, in seconds.
    answer_seconds: Vec<Histogram>,
    /// Those of `requests` with the method GET, by route and class: looking labels up costs more than counting.
    gets: Vec<[IntCounter; CLASSES.len()]>,
}

impl Metrics {
    /// The figures of `port`, registered.
    ///
    /// # Errors
    /// If those of this port are registered already.
    pub(crate) fn register(port: Port, registry: &Registry) -> Result<Self, prometheus::Error> {
        let opts = |name: &str, help: &str| Opts::new(name, help).const_label("port", port.as_str());
        let counter = |name, help| registered(registry, IntCounter::with_opts(opts(name, help))?);
        let counters =
            |name, help, labels: &[&str]| registered(registry, IntCounterVec::new(opts(name, help), labels)?);
        let open = IntGaugeVec::new(
            opts("headwater_http_connections", "Open connections by transport and protocol."),
            &["transport", "protocol"],
        )?;
        let answer_seconds = HistogramOpts::new(
            "headwater_http_answer_seconds",
            "From the end of a request's header to its answer, by route, without requests that waited for media, \
             in seconds.",
        );
        let answer_seconds = answer_seconds.const_label("port", port.as_str()).buckets(ANSWER_BUCKETS_S.to_vec());
        let requests = counters(
            "headwater_http_requests_total",
            "Requests answered, by route, method and status class.",
            &["route", "method", "status"],
        )?;
        let answer_seconds = registered(registry, HistogramVec::new(answer_seconds, &["route"])?)?;
        let figures = Figures {
            open: registered(registry, open)?,
            accepted: counter("headwater_http_connections_accepted_total", "Connections accepted.")?,
            limited: counters(
                "headwater_http_limited_total",
                "Connections and requests ended by a limit, by which.",
                &["reason"],
            )?,
            received: counter("headwater_http_received_bytes_total", "Bytes received, with TLS and HTTP framing.")?,
            sent: counter("headwater_http_sent_bytes_total", "Bytes sent, with TLS and HTTP framing.")?,
            gets: Route::ALL.iter().map(|route| gets(&requests, *route)).collect(),
            requests,
            answer_seconds: Route::ALL
                .iter()
                .map(|route| answer_seconds.with_label_values(&[route.as_str()]))
                .collect(),
        };
        for limit in Limit::ALL {
            figures.limited.with_label_values(&[limit.as_str()]);
        }
        Ok(Self(Arc::new(figures)))
    }

    /// Counts what a limit ended.
    pub(crate) fn limited(&self, limit: Limit) {
        self.limited.with_label_values(&[limit.as_str()]).inc();
    }

    /// Counts one answer.
    pub(crate) fn answered(&self, route: Route, method: &Method, status: StatusCode) {
        let class = class(status);
        match *method {
            Method::GET => self.gets[route.index()][class].inc(),
            _ => self.requests.with_label_values(&[route.as_str(), method_label(method), CLASSES[class]]).inc(),
        }
    }

    /// Notes how long an answer that waited for nobody took.
    pub(crate) fn took(&self, route: Route, time: Duration) {
        self.answer_seconds[route.index()].observe(time.as_secs_f64());
    }

    /// Counts a connection among the open ones until dropped.
    pub(crate) fn opened(&self, transport: Transport, protocol: Protocol) -> Open {
        let gauge = self.open.with_label_values(&[transport.as_str(), protocol.as_str()]);
        gauge.inc();
        Open(gauge)
    }
}

/// An open connection in the figures; dropped when it ends, or when it turns out to be of another kind.
#[derive(Debug)]
pub(crate) struct Open(IntGauge);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// `metric`, registered.
pub(crate) fn registered<C: Collector + Clone + 'static>(
    registry: &Registry,
    metric: C,
) -> Result<C, prometheus::Error> {
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

/// Methods as a bounded label: a client may send any word.
fn method_label(method: &Method) -> &'static str {
    const KNOWN: [&str; 7] = ["GET", "HEAD", "POST", "PATCH", "DELETE", "PUT", "OPTIONS"];
    KNOWN.into_iter().find(|known| *known == method.as_str()).unwrap_or("other")
}

/// The counters of a route's GET requests, by class. All show from zero on.
fn gets(requests: &IntCounterVec, route: Route) -> [IntCounter; CLASSES.len()] {
    CLASSES.map(|class| requests.with_label_values(&[route.as_str(), "GET", class]))
}

/// The place of a status in [`CLASSES`].
fn class(status: StatusCode) -> usize {
    match status.as_u16() {
        ..=199 => 0,
        200..=299 => 1,
        300..=399 => 2,
        400..=499 => 3,
        _ => 4,
    }
}
