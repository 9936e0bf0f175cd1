//! The plain port beside TLS: sends everybody to https, and does nothing else.

use axum::body::Body;
use axum::response::IntoResponse;
use http::uri::Authority;
use http::{Request, Response, StatusCode, header};

use super::metrics::Metrics;
use super::refusal::refuse;
use super::route::Route;

/// The port of https in a URL that names none.
const HTTPS_PORT: u16 = 443;

/// Answers every request 308 to the same address over https at `port`.
pub(crate) fn answer<B>(request: &Request<B>, port: u16, metrics: &Metrics) -> Response<Body> {
    let response = match target(request, port) {
        Some(location) => (StatusCode::PERMANENT_REDIRECT, [(header::LOCATION, location)]).into_response(),
        None => refuse(StatusCode::BAD_REQUEST, "host_missing", "The request names no host"),
    };
    metrics.answered(Route::Other, request.method(), response.status());
    response
}

fn target<B>(request: &Request<B>, port: u16) -> Option<String> {
    let named = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let authority: Authority = match request.uri().authority() {
        Some(authority) => authority.clone(),
        None => named?.parse().ok()?,
    };
    let host = authority.host();
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let path = if path.starts_with('/') { path } else { "/" };
    let usable = !host.is_empty() && !authority.as_str().contains('@');
    usable.then(|| match port {
        HTTPS_PORT => format!("https://{host}{path}"),
        port => format!("https://{host}:{port}{path}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn location(uri: &str, host: Option<&str>, port: u16) -> Option<String> {
        let mut request = Request::builder().uri(uri);
        if let Some(host) = host {
            request = request.header(header::HOST, host);
        }
        target(&request.body(()).unwrap(), port)
    }

    #[test]
    fn the_same_address_over_https() {
        for (uri, host, port, expected) in [
            ("/watch/a?b=c", Some("tv.example"), 443, Some("https://tv.example/watch/a?b=c")),
            ("/", Some("tv.example:80"), 8443, Some("https://tv.example:8443/")),
            ("/x", Some("[2001:db8::1]:80"), 443, Some("https://[2001:db8::1]/x")),
            ("http://other.example/x", Some("tv.example"), 443, Some("https://other.example/x")),
            ("*", Some("tv.example"), 443, Some("https://tv.example/")),
            ("//evil.example/x", Some("tv.example"), 443, Some("https://tv.example//evil.example/x")),
            ("/", None, 443, None),
            ("/", Some(""), 443, None),
            ("/", Some("a b"), 443, None),
            ("/", Some("me@tv.example"), 443, None),
        ] {
            assert_eq!(location(uri, host, port).as_deref(), expected, "{uri} {host:?}");
        }
    }
}
