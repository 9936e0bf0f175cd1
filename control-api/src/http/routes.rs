//! Routes as declarations: method, path, what it needs, handler. The router, the OpenAPI document and
//! `docs/permissions.md` all come of them, so a route that says nothing of its need cannot be written.

use axum::Router;
use axum::handler::Handler;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodFilter, MethodRouter, on};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::access;
use super::limit::Class;
use crate::ControlApi;
use crate::permission::Permission;

/// What who asks must be, before the handler runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Nothing: everybody may.
    Nothing,
    /// To be somebody.
    SignedIn,
    /// The permission by role.
    Everywhere(Permission),
    /// The permission by role, or by the role in the channel `{name}` of the path.
    OnChannel(Permission),
    /// The same, of the channel whose broadcast is `{id}` of the path.
    OnBroadcast(Permission),
    /// The same, of the channel that the viewer session `{id}` of the path watches.
    OnViewerSession(Permission),
}

impl Need {
    /// The permission, where one is needed.
    #[must_use]
    pub fn permission(self) -> Option<Permission> {
        match self {
            Self::Nothing | Self::SignedIn => None,
            Self::Everywhere(permission)
            | Self::OnChannel(permission)
            | Self::OnBroadcast(permission)
            | Self::OnViewerSession(permission) => Some(permission),
        }
    }

    /// Its word: a permission's, `nothing` or `signed_in`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::SignedIn => "signed_in",
            _ => self.permission().map_or("nothing", Permission::as_str),
        }
    }
}

/// The methods that routes have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// `GET`, and `HEAD` with it.
    Get,
    /// `POST`
    Post,
    /// `PUT`
    Put,
    /// `PATCH`
    Patch,
    /// `DELETE`
    Delete,
}

impl Verb {
    /// The method's name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }

    fn filter(self) -> MethodFilter {
        match self {
            Self::Get => MethodFilter::GET,
            Self::Post => MethodFilter::POST,
            Self::Put => MethodFilter::PUT,
            Self::Patch => MethodFilter::PATCH,
            Self::Delete => MethodFilter::DELETE,
        }
    }
}

/// A field of a body, or a parameter of a query, for the document.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// Its JSON type.
    pub kind: Kind,
    /// Whether it must be there.
    pub required: bool,
    /// What it means.
    pub says: &'static str,
}

/// The JSON types of fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A string.
    Text,
    /// An integer.
    Integer,
    /// A boolean.
    Boolean,
    /// An object.
    Object,
    /// An array of strings.
    Texts,
    /// An instant (RFC 3339).
    Time,
}

/// A field that must be there.
pub(crate) const fn must(name: &'static str, kind: Kind, says: &'static str) -> Field {
    Field { name, kind, required: true, says }
}

/// A field that may be left out.
pub(crate) const fn may(name: &'static str, kind: Kind, says: &'static str) -> Field {
    Field { name, kind, required: false, says }
}

/// What a route takes as body.
#[derive(Debug, Clone, Copy)]
pub enum Takes {
    /// None.
    Nothing,
    /// A JSON object, which must be there if one of its fields must.
    Json(&'static [Field]),
    /// A file of one of these types.
    File(&'static [&'static str]),
}

/// What a route answers when all went well.
pub struct Answers {
    /// With which status.
    pub status: StatusCode,
    /// The name and shape of its JSON body, with those that it refers to; `None` is no body or no JSON.
    pub(crate) body: Option<Shape>,
}

/// A named shape of JSON.
pub(crate) struct Shape {
    pub(crate) name: String,
    pub(crate) schema: RefOr<Schema>,
    pub(crate) refers_to: Vec<(String, RefOr<Schema>)>,
}

/// One declared route.
pub struct Route {
    /// Its method.
    pub verb: Verb,
    /// Its path, with parameters in braces.
    pub path: &'static str,
    /// What it needs.
    pub need: Need,
    /// Which limit its requests count against.
    pub class: Class,
    /// What it does, in a few words.
    pub says: &'static str,
    /// What its query takes.
    pub query: &'static [Field],
    /// What it takes.
    pub takes: Takes,
    /// What it answers.
    pub answers: Answers,
    /// It takes an `Idempotency-Key`.
    pub once: bool,
    /// Its answer has an `ETag`.
    pub tagged: bool,
    /// It takes `If-Match`.
    pub matched: bool,
    handler: MethodRouter<ControlApi>,
}

/// A route, for now without words: see [`Route::says`] and the others. It counts as a read or a write, by its method.
pub(crate) fn route<H, T>(verb: Verb, path: &'static str, need: Need, handler: H) -> Route
where
    H: Handler<T, ControlApi>,
    T: 'static,
{
    let answers = Answers { status: StatusCode::NO_CONTENT, body: None };
    let class = if verb == Verb::Get { Class::Read } else { Class::Write };
    let handler = on(verb.filter(), handler);
    Route {
        verb,
        path,
        need,
        class,
        says: "",
        query: &[],
        takes: Takes::Nothing,
        answers,
        once: false,
        tagged: false,
        matched: false,
        handler,
    }
}

impl Route {
    /// Counts against another limit than its method says.
    pub(crate) fn class(mut self, class: Class) -> Self {
        self.class = class;
        self
    }

    pub(crate) fn says(mut self, says: &'static str) -> Self {
        self.says = says;
        self
    }

    pub(crate) fn query(mut self, query: &'static [Field]) -> Self {
        self.query = query;
        self
    }

    pub(crate) fn takes(mut self, fields: &'static [Field]) -> Self {
        self.takes = Takes::Json(fields);
        self
    }

    pub(crate) fn takes_file(mut self, types: &'static [&'static str]) -> Self {
        self.takes = Takes::File(types);
        self
    }

    /// Answers JSON of this shape.
    pub(crate) fn answers<T: ToSchema>(mut self, status: StatusCode) -> Self {
        let mut refers_to = Vec::new();
        T::schemas(&mut refers_to);
        let shape = Shape { name: T::name().into_owned(), schema: <T as PartialSchema>::schema(), refers_to };
        self.answers = Answers { status, body: Some(shape) };
        self
    }

    /// Answers no JSON.
    pub(crate) fn answers_status(mut self, status: StatusCode) -> Self {
        self.answers = Answers { status, body: None };
        self
    }

    pub(crate) fn once(mut self) -> Self {
        self.once = true;
        self
    }

    pub(crate) fn tagged(mut self) -> Self {
        self.tagged = true;
        self
    }

    pub(crate) fn matched(mut self) -> Self {
        self.tagged = true;
        self.matched = true;
        self
    }
}

/// The router of `routes`: each counts who asks and checks its need before its handler runs.
pub(crate) fn router(routes: Vec<Route>, api: &ControlApi) -> Router<ControlApi> {
    routes.into_iter().fold(Router::new(), |router, route| {
        let check = from_fn_with_state((api.clone(), route.need, route.class), access::check);
        router.route(route.path, route.handler.route_layer(check))
    })
}
