//! From request to response: reads what is asked, has it served, counts it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::{HeaderMap, Request, Response};
use prometheus::Registry;
use schema::ChannelName;
use tokio::time::Instant;

use crate::body::Body;
use crate::files::Files;
use crate::guard::{Entry, Guard, RULES_PATH, Way};
use crate::limits::Limits;
use crate::live::directive::{Directive, Form};
use crate::live::directory::{Directory, Listed};
use crate::live::route::{Place, Resource};
use crate::live::{dvr, serve};
use crate::metrics::{Metrics, Route};
use crate::refusal::Refusal;
use crate::reply::{self, Conditions, Content, Lifetime, Method, Payload};

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
    guard: Guard,
}

/// A request, reduced to what its answer needs.
struct Ask {
    route: Route,
    conditions: Conditions,
    target: Target,
    audience: Audience,
}

/// Who may keep an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Audience {
    /// Shared caches, for all.
    All,
    /// The one who asked: a cache that does not check tokens would go on when one is taken back.
    One,
}

/// What an answer is made from.
enum Target {
    Multivariant(Arc<Listed>),
    AwaitedState(ChannelName, Entry),
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
        Self::guarded(directory, registry, limits, Guard::new(None))
    }

    /// The same with a guard that knows who may have what is not for everybody.
    ///
    /// # Errors
    /// If metrics of these names are registered already.
    pub fn guarded(
        directory: Directory,
        registry: &Registry,
        limits: Limits,
        guard: Guard,
    ) -> Result<Self, prometheus::Error> {
        let metrics = Metrics::new(registry)?;
        let files = Files::new(&limits, metrics.clone());
        Ok(Self(Arc::new(Shared { directory, limits, metrics, held: AtomicUsize::new(0), files, guard })))
    }

    /// Answers one request for a path under `/live/`, `/t/{token}/live/` or `/private/`; anything else is 404. Never fails.
    ///
    /// The request is read and dropped at once, so the future holds nothing of it while it waits for
    /// media, at most three target durations. Dropping the future ends the wait.
    pub fn handle<B>(&self, request: Request<B>) -> impl Future<Output = Response<Body>> + Send + use<B> {
        let ask = self.read(&request);
        drop(request);
        self.clone().answer(ask)
    }

    async fn answer(self, ask: Ask) -> Response<Body> {
        let Ask { route, conditions, target, audience } = ask;
        let mut response = match self.content(target, &conditions).await {
            Ok(Some(content)) => content.respond(&conditions),
            Ok(None) => reply::preflight(),
            Err(refusal) => {
                self.0.metrics.refused(refusal);
                reply::problem(refusal, conditions.method)
            }
        };
        if audience == Audience::One {
            reply::for_one(&mut response);
        }
        self.0.metrics.answered(route, response.status(), response.body().remaining());
        response
    }

    /// What to send; nothing for a preflight.
    async fn content(&self, target: Target, conditions: &Conditions) -> Result<Option<Content>, Refusal> {
        let encoding = conditions.encoding;
        match target {
            Target::Multivariant(listed) => serve::multivariant(self, &listed, encoding).await.map(Some),
            Target::AwaitedState(channel, entry) => {
                serve::awaited_state(self, &self.0.directory, &channel, entry).await.map(Some)
            }
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
        let (route, target) = self.target(request);
        let audience = if request.uri().path().starts_with("/t/") { Audience::One } else { Audience::All };
        Ask { route, conditions, target, audience }
    }

    fn target<B>(&self, request: &Request<B>) -> (Route, Target) {
        let uri = request.uri();
        if uri.path_and_query().is_some_and(|sent| sent.as_str().len() > self.0.limits.uri_bytes_max) {
            return (Route::Other, Target::Refused(Refusal::UriTooLong));
        }
        match *request.method() {
            http::Method::GET | http::Method::HEAD => {}
            http::Method::OPTIONS => return (Route::Other, Target::Preflight),
            _ => return (Route::Other, Target::Refused(Refusal::MethodNotAllowed)),
        }
        if uri.path() == RULES_PATH {
            return (Route::Rules, self.rules(request.headers()).unwrap_or_else(Target::Refused));
        }
        let named = Way::of(uri.path()).and_then(|(way, path)| Some((way, Resource::parse(path)?)));
        let Some((way, resource)) = named else { return (Route::Other, Target::Refused(Refusal::NotFound)) };
        let route = resource.route();
        let found = self.0.guard.admit(way, resource.channel(), request.headers());
        let found = found.and_then(|entry| self.find(resource, uri.query(), entry));
        (route, found.unwrap_or_else(Target::Refused))
    }

    fn find(&self, resource: Resource<'_>, query: Option<&str>, entry: Entry) -> Result<Target, Refusal> {
        let directory = &self.0.directory;
        let current = |channel: &ChannelName| directory.current_listed(channel).map(|listed| listed.for_entry(entry));
        let live = |channel: &ChannelName| current(channel).ok_or(Refusal::ChannelOffline)?;
        Ok(match resource {
            Resource::Multivariant(channel) => Target::Multivariant(live(&channel)?),
            Resource::State(channel) => {
                let current = current(&channel).transpose()?;
                Target::Known(Box::new(serve::state(&channel, current.as_deref())))
            }
            Resource::AwaitedState(channel) => Target::AwaitedState(channel, entry),
            Resource::Thumbnail(channel) => Target::Known(Box::new(serve::thumbnail(&live(&channel)?.broadcast)?)),
            Resource::Playlist(address) => {
                Target::Playlist(Place::find(directory, &address, entry)?, Directive::parse(query), Form::parse(query))
            }
            Resource::Dvr(channel) => Target::Dvr(live(&channel)?),
            Resource::DvrPlaylist(address) => {
                let place = Place::find(directory, &address, entry)?;
                Target::DvrPlaylist(place, Directive::parse(query), Form::parse(query))
            }
            Resource::Object(address, name) => Target::Object(Place::find(directory, &address, entry)?, name.into()),
        })
    }

    /// What edges check tokens by.
    fn rules(&self, headers: &HeaderMap) -> Result<Target, Refusal> {
        let (text, version) = self.0.guard.rules_for_edges(headers)?;
        Ok(Target::Known(Box::new(Content {
            media_type: "text/plain",
            lifetime: Lifetime::Moment,
            etag: Some(format!("\"{version}\"")),
            payload: Payload::Plain(text),
        })))
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
