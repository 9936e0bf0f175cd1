//! The HTTP ports: the public one, with TLS where a certificate is configured, and beside TLS one that redirects.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use prometheus::Registry;
use tokio::signal::unix::Signal;
use tokio_util::sync::CancellationToken;

use super::part::Part;
use crate::config::Config;
use crate::exit::Exit;
use crate::http::metrics::{Metrics, Port};
use crate::http::proxies::Proxies;
use crate::http::public::Public;
use crate::http::redirect;
use crate::http::server::{Limits, Server, pace};
use crate::http::tls::reload::Reloader;
use crate::http::tls::{SetupError, Tls};

/// Connections to the redirecting port: each is for one short answer.
const REDIRECT_CONNECTIONS_MAX: usize = 1_000;
const REDIRECT_CONNECTIONS_PER_ADDRESS: usize = 20;

/// The HTTP ports, bound, serving nobody yet.
pub(super) struct HttpPorts {
    public: Server,
    redirect: Option<(Server, Metrics)>,
    reloader: Option<Reloader>,
    /// Figures of the public port.
    pub(super) metrics: Metrics,
}

/// Where they listen.
pub(super) struct Addresses {
    public: SocketAddr,
    redirect: Option<SocketAddr>,
    scheme: &'static str,
}

impl HttpPorts {
    /// Reads the certificate and binds the ports.
    ///
    /// # Errors
    /// [`Exit::Usage`]: no usable certificate; [`Exit::Unavailable`]: a port is taken.
    pub(super) async fn bind(config: &Config, registry: &Registry) -> Result<Self, Exit> {
        let (tls, reloader) = tls(config, registry)?.unzip();
        let metrics = Metrics::register(Port::Public, registry).map_err(Exit::software)?;
        let limits = Limits {
            connections: config.limits.connections_max,
            connections_per_address: config.limits.connections_per_address,
            pace: pace::Limits::USUAL,
        };
        let public = bind("http.listen", config.http.listen, limits, &metrics).await?;
        let public = public.behind(Proxies::new(&config.http.trusted_proxies)).over(tls);
        let limits = Limits {
            connections: REDIRECT_CONNECTIONS_MAX,
            connections_per_address: REDIRECT_CONNECTIONS_PER_ADDRESS,
            ..limits
        };
        let redirect = match config.http.redirect_listen {
            Some(listen) => {
                let metrics = Metrics::register(Port::Redirect, registry).map_err(Exit::software)?;
                Some((bind("http.redirect_listen", listen, limits, &metrics).await?, metrics))
            }
            None => None,
        };
        Ok(Self { public, redirect, reloader, metrics })
    }

    /// Where they listen.
    ///
    /// # Errors
    /// The system cannot tell.
    pub(super) fn addresses(&self) -> io::Result<Addresses> {
        Ok(Addresses {
            public: self.public.address()?,
            redirect: self.redirect.as_ref().map(|(server, _)| server.address()).transpose()?,
            scheme: if self.reloader.is_some() { "https" } else { "http" },
        })
    }

    /// Serves `parts` to everybody. `hangup` has the certificate read again.
    pub(super) fn start(self, parts: Public, hangup: Signal, fallen: &CancellationToken) -> io::Result<Vec<Part>> {
        let Self { public, redirect, reloader, .. } = self;
        let port = public.address()?.port();
        let parts = Arc::new(parts);
        let answer = move |request| Arc::clone(&parts).handle(request);
        let mut started = vec![Part::start("viewers", fallen, |cancel| public.run(cancel, answer))];
        if let Some((redirect, metrics)) = redirect {
            let answer = move |request| std::future::ready(redirect::answer(&request, port, &metrics));
            started.push(Part::start("redirect", fallen, |cancel| redirect.run(cancel, answer)));
        }
        if let Some(reloader) = reloader {
            started.push(Part::start("certificate", fallen, |cancel| reloader.run(hangup, cancel)));
        }
        Ok(started)
    }
}

impl Addresses {
    /// The public port's URL.
    pub(super) fn public_url(&self) -> String {
        format!("{}://{}", self.scheme, self.public)
    }

    /// The redirecting port's URL, if there is one.
    pub(super) fn redirect_url(&self) -> Option<String> {
        self.redirect.map(|address| format!("http://{address}"))
    }
}

async fn bind(setting: &str, listen: SocketAddr, limits: Limits, metrics: &Metrics) -> Result<Server, Exit> {
    let server = Server::bind(listen, limits, metrics.clone()).await;
    server.map_err(|error| Exit::Unavailable(format!("{setting}: cannot listen on {listen}: {error}")))
}

fn tls(config: &Config, registry: &Registry) -> Result<Option<(Tls, Reloader)>, Exit> {
    let Some(files) = config.http.tls.files() else { return Ok(None) };
    Tls::set_up(files, config.http.tls.hsts(), registry).map(Some).map_err(|error| match error {
        SetupError::Pair(error) => Exit::Usage(format!("config: {error}")),
        other => Exit::software(other),
    })
}
