//! TLS of the public port: the configured certificate, ALPN, and handshakes within limits.

mod pair;
pub(crate) mod reload;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use http::HeaderValue;
use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts, Registry};
use rustls::crypto::aws_lc_rs;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{ProtocolVersion, ServerConfig};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

pub(crate) use self::pair::{Files, Pair, PairError};
use self::reload::Reloader;
use super::metrics::{Limit, Metrics, registered};
use super::server::line::{Line, Socket};

/// The longest a handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// The most handshakes at a time: they cost the most work that a stranger can ask for.
const HANDSHAKES_MAX: usize = 2_048;

/// TLS as the public port speaks it. Cloning shares.
#[derive(Clone)]
pub(crate) struct Tls {
    acceptor: TlsAcceptor,
    handshakes: Arc<Semaphore>,
    figures: Figures,
    /// What `Strict-Transport-Security` says in every answer, if anything.
    pub(crate) hsts: Option<HeaderValue>,
}

/// Figures of TLS; they exist only where TLS is configured. The doc comment of each field is its help text.
#[derive(Debug, Clone)]
pub(crate) struct Figures {
    /// TLS handshakes completed, by version of the protocol.
    handshakes: IntCounterVec,
    /// TLS handshakes that failed, by reason.
    failures: IntCounterVec,
    /// Certificates taken after the start.
    pub(crate) reloads: IntCounter,
    /// Changed certificates that could not be taken.
    pub(crate) reload_failures: IntCounter,
    /// 1 if the files hold no usable certificate and an earlier one is in force, else 0.
    pub(crate) reload_failed: IntGauge,
    /// When the certificate in force expires, in seconds since 1970.
    pub(crate) expires: IntGauge,
}

impl Figures {
    fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counter = |name: &str, help: &str| registered(registry, IntCounter::new(name, help)?);
        let counters = |name: &str, help: &str, label: &str| {
            registered(registry, IntCounterVec::new(Opts::new(name, help), &[label])?)
        };
        let gauge = |name: &str, help: &str| registered(registry, IntGauge::new(name, help)?);
        let figures = Self {
            handshakes: counters(
                "headwater_tls_handshakes_total",
                "TLS handshakes completed, by version of the protocol.",
                "version",
            )?,
            failures: counters(
                "headwater_tls_handshake_failures_total",
                "TLS handshakes that failed, by reason.",
                "reason",
            )?,
            reloads: counter("headwater_tls_reloads_total", "Certificates taken after the start.")?,
            reload_failures: counter(
                "headwater_tls_reload_failures_total",
                "Changed certificates that could not be taken.",
            )?,
            reload_failed: gauge(
                "headwater_tls_reload_failed",
                "1 if the files hold no usable certificate and an earlier one is in force, else 0.",
            )?,
            expires: gauge(
                "headwater_tls_certificate_expires_timestamp_seconds",
                "When the certificate in force expires, in seconds since 1970.",
            )?,
        };
        for version in ["1.2", "1.3"] {
            figures.handshakes.with_label_values(&[version]);
        }
        for reason in ["timeout", "disconnected", "protocol"] {
            figures.failures.with_label_values(&[reason]);
        }
        Ok(figures)
    }
}

/// The certificate in force.
#[derive(Debug)]
pub(crate) struct Current(ArcSwap<CertifiedKey>);

impl Current {
    /// New connections get `pair` from now on; open ones keep what they have.
    pub(crate) fn set(&self, pair: &Pair) {
        self.0.store(Arc::clone(&pair.certified));
    }
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SetupError {
    /// The configured files.
    #[error(transparent)]
    Pair(#[from] PairError),
    /// The crypto provider.
    #[error("TLS cannot be set up: {0}")]
    Rustls(#[from] rustls::Error),
    /// The figures.
    #[error(transparent)]
    Metrics(#[from] prometheus::Error),
}

impl Tls {
    /// TLS with the certificate in `files`, and what keeps watching them.
    ///
    /// # Errors
    /// The files hold no usable certificate and key; the figures were registered before.
    pub(crate) fn set_up(
        files: Files,
        hsts: Option<HeaderValue>,
        registry: &Registry,
    ) -> Result<(Self, Reloader), SetupError> {
        let figures = Figures::register(registry)?;
        let (reloader, current) = Reloader::load(files, figures.clone())?;
        let acceptor = TlsAcceptor::from(Arc::new(server_config(current)?));
        let handshakes = Arc::new(Semaphore::new(HANDSHAKES_MAX));
        Ok((Self { acceptor, handshakes, figures, hsts }, reloader))
    }

    /// The secured line, or nothing, and a count of why.
    pub(crate) async fn handshake<S: Socket>(&self, line: Line<S>, metrics: &Metrics) -> Option<TlsStream<Line<S>>> {
        let Ok(_place) = self.handshakes.try_acquire() else {
            metrics.limited(Limit::Handshakes);
            return None;
        };
        let failed = |reason: &str| self.figures.failures.with_label_values(&[reason]).inc();
        match timeout(HANDSHAKE_TIMEOUT, self.acceptor.accept(line)).await {
            Ok(Ok(secured)) => {
                let tls13 = secured.get_ref().1.protocol_version() == Some(ProtocolVersion::TLSv1_3);
                self.figures.handshakes.with_label_values(&[if tls13 { "1.3" } else { "1.2" }]).inc();
                Some(secured)
            }
            Ok(Err(error)) => {
                failed(if error.kind() == io::ErrorKind::InvalidData { "protocol" } else { "disconnected" });
                tracing::debug!(%error, "TLS handshake failed");
                None
            }
            Err(_elapsed) => {
                failed("timeout");
                metrics.limited(Limit::HandshakeTimeout);
                None
            }
        }
    }
}

/// TLS 1.2 and 1.3, HTTP/2 before HTTP/1.1, resumption by tickets without state here.
fn server_config(current: Arc<Current>) -> Result<ServerConfig, rustls::Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13, &TLS12])?
        .with_no_client_auth()
        .with_cert_resolver(current);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.ticketer = aws_lc_rs::Ticketer::new()?;
    Ok(config)
}
