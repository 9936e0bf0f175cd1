//! From request to response: reads what is asked, has it served, counts it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::{Request, Response, Uri};
use prometheus::Registry;
use schema::ChannelName;
use tokio::time::Instant;

use crate::body::Body;
use crate::files::Files;
use crate::limits::Limits;
use crate::live::directive::{Directive, Form};
use crate::live::directory::{Directory, Listed};
use crate::live::route::{Place, Resource};
use crate::live::{dvr, serve};
use crate::metrics::{Metrics, Route};
use crate::refusal::Refusal;
use crate::reply::{self, Conditions, Content, Method};

/// Answers viewers' requests about what a [`Directory`] lists. Cloning is cheap and shares.
#[derive(Debug, Clone)]
pub struct Origin(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    directory: Directory,
    limits: Limits,
    metrics: Metrics,
    /// How many requests wait now; the gauge of the same shows it.
    held: AtomicUsize,
    files: Files,
}

/// A request, reduced to what its answer needs.
struct Ask {
    route: Route,
    conditions: Conditions,
    target: Target,
}

/// What an answer is made from.
enum Target {
    Multivariant(Arc<Listed>),
    AwaitedState(ChannelName),
    Playlist(Place, Directive, Form),
    Dvr(Arc<Listed>),
    DvrPlaylist(Place, Directive, Form),
    Object(Place, Box<str>),
    /// Known without waiting.
    Known(Box<Content>),
    Preflight,
    Refused(Refusal),
}

impl Origin {
    /// An origin with the usual [`Limits`], whose metrics are registered in `registry`.
    ///
    /// # Errors
    /// If metrics of these names are registered already.
    pub fn new(directory: Directory, registry: &Registry) -> Result<Self, prometheus::Error> {
        Self::with_limits(directory, registry, Limits::default())
    }

    /// The same with other limits.
    ///
    /// # Errors
    /// If metrics of these names are registered already.
    pub fn with_limits(directory: Directory, registry: &Registry, limits: Limits) -> Result<Self, prometheus::Error> {
        let metrics = Metrics::new(registry)?;
        let files = Files::new(&limits, metrics.clone());
        Ok(Self(Arc::new(Shared { directory, limits, metrics, held: AtomicUsize::new(0), files })))
    }

    /// Answers one request for a path under `/live/`; anything else is 404. Never fails.
    ///
    /// The request is read and dropped at once, so the future holds nothing of it while it waits for
    /// media, at most three target durations. Dropping the future ends the wait.
    pub fn handle<B>(&self, request: Request<B>) -> impl Future<Output = Response<Body>> + Send + use<B> {
        let ask = self.read(&request);
        drop(request);
        self.clone().answer(ask)
    }

    async fn answer(self, ask: Ask) -> Response<Body> {
        let Ask { route, conditions, target } = ask;
        let response = match self.content(target, &conditions).await {
            Ok(Some(content)) => content.respond(&conditions),
            Ok(None) => reply::preflight(),
            Err(refusal) => reply::problem(refusal, conditions.method),
        };
        self.0.metrics.answered(route, response.status(), response.body().remaining());
        response
    }

    /// What to send; nothing for a preflight.
    async fn content(&self, target: Target, conditions: &Conditions) -> Result<Option<Content>, Refusal> {
        let encoding = conditions.encoding;
        match target {
            Target::Multivariant(listed) => serve::multivariant(self, &listed, encoding).await.map(Some),
            Target::AwaitedState(channel) => serve::awaited_state(self, &self.0.directory, &channel).await.map(Some),
            Target::Playlist(place, directive, form) => {
                serve::playlist(self, &place, directive, form, encoding).await.map(Some)
            }
            Target::Dvr(listed) => dvr::multivariant(&listed, encoding).map(Some),
            Target::DvrPlaylist(place, directive, form) => {
                dvr::playlist(self, &place, directive, form, encoding).await.map(Some)
            }
            Target::Object(place, name) => serve::object(self, &place, &name, conditions).await.map(Some),
            Target::Known(content) => Ok(Some(*content)),
            Target::Preflight => Ok(None),
            Target::Refused(refusal) => Err(refusal),
        }
    }

    fn read<B>(&self, request: &Request<B>) -> Ask {
        let method = if request.method() == http::Method::HEAD { Method::Head } else { Method::Get };
        let conditions = Conditions::read(method, request.headers());
        let (route, target) = self.target(request.method(), request.uri());
        Ask { route, conditions, target }
    }

    fn target(&self, method: &http::Method, uri: &Uri) -> (Route, Target) {
        if uri.path_and_query().is_some_and(|sent| sent.as_str().len() > self.0.limits.uri_bytes_max) {
            return (Route::Other, Target::Refused(Refusal::UriTooLong));
        }
        match *method {
            http::Method::GET | http::Method::HEAD => {}
            http::Method::OPTIONS => return (Route::Other, Target::Preflight),
            _ => return (Route::Other, Target::Refused(Refusal::MethodNotAllowed)),
        }
        match Resource::parse(uri.path()) {
            Some(resource) => (resource.route(), self.find(resource, uri.query()).unwrap_or_else(Target::Refused)),
            None => (Route::Other, Target::Refused(Refusal::NotFound)),
        }
    }

    fn find(&self, resource: Resource<'_>, query: Option<&str>) -> Result<Target, Refusal> {
        let directory = &self.0.directory;
        Ok(match resource {
            Resource::Multivariant(channel) => {
                Target::Multivariant(directory.current_listed(&channel).ok_or(Refusal::ChannelOffline)?)
            }
            Resource::State(channel) => {
                Target::Known(Box::new(serve::state(&channel, directory.current_listed(&channel).as_deref())))
            }
            Resource::AwaitedState(channel) => Target::AwaitedState(channel),
            Resource::Thumbnail(channel) => {
                let broadcast = directory.current(&channel).ok_or(Refusal::ChannelOffline)?;
                Target::Known(Box::new(serve::thumbnail(&broadcast)?))
            }
            Resource::Playlist(address) => {
                Target::Playlist(Place::find(directory, &address)?, Directive::parse(query), Form::parse(query))
            }
            Resource::Dvr(channel) => Target::Dvr(directory.current_listed(&channel).ok_or(Refusal::ChannelOffline)?),
            Resource::DvrPlaylist(address) => {
                Target::DvrPlaylist(Place::find(directory, &address)?, Directive::parse(query), Form::parse(query))
            }
            Resource::Object(address, name) => Target::Object(Place::find(directory, &address)?, name.into()),
        })
    }

    /// Reads what is kept on disk.
    pub(crate) fn files(&self) -> &Files {
        &self.0.files
    }

    /// Takes a place among the requests that wait for media.
    pub(crate) fn hold(&self) -> Result<Held<'_>, Refusal> {
        self.place(Some(Instant::now()))
    }

    /// The same for one that waits for a broadcast, which says nothing of how media come.
    pub(crate) fn hold_for_broadcast(&self) -> Result<Held<'_>, Refusal> {
        self.place(None)
    }

    fn place(&self, since: Option<Instant>) -> Result<Held<'_>, Refusal> {
        let Shared { held, limits, metrics, .. } = &*self.0;
        if held.fetch_add(1, Ordering::Relaxed) >= limits.held_requests_max {
            held.fetch_sub(1, Ordering::Relaxed);
            metrics.held_refused.inc();
            return Err(Refusal::TooManyHeld);
        }
        metrics.held.inc();
        Ok(Held { origin: &self.0, since })
    }
}

/// A place among the requests that wait, given back when dropped.
pub(crate) struct Held<'a> {
    origin: &'a Shared,
    /// Since when it waits for media.
    since: Option<Instant>,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.origin.held.fetch_sub(1, Ordering::Relaxed);
        self.origin.metrics.held.dec();
        if let Some(since) = self.since {
            self.origin.metrics.wait.observe(since.elapsed().as_secs_f64());
        }
    }
}
