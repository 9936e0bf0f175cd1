//! The OpenAPI document (3.1) and the table of permissions for people, both made of the declared routes.

use std::fmt::Write as _;
use std::sync::LazyLock;

use axum::body::Bytes;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use schema::api::Problem;
use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{Operation, OperationBuilder, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::{RequestBody, RequestBodyBuilder};
use utoipa::openapi::schema::{ArrayBuilder, Components, KnownFormat, ObjectBuilder, Ref, SchemaFormat, Type};
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{
    ComponentsBuilder, Content, HttpMethod, InfoBuilder, OpenApi, OpenApiBuilder, Paths, RefOr, Required, Response,
    ResponseBuilder, Schema,
};

use super::routes::{Field, Kind, Need, Route, Takes, Verb};
use crate::permission::{ChannelRole, Role, TABLE};
use crate::routes;

/// The name of the shape of every error.
const PROBLEM: &str = "Problem";

static DOCUMENT: LazyLock<Bytes> =
    LazyLock::new(|| Bytes::from(document(&routes::all()).to_pretty_json().unwrap_or_default()));

/// `GET /api/openapi.json`
pub(crate) async fn show() -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], DOCUMENT.clone())
}

/// The document of `routes`.
pub(crate) fn document(routes: &[Route]) -> OpenApi {
    let info = InfoBuilder::new().title("Headwater control API").version(env!("CARGO_PKG_VERSION"));
    let mut paths = Paths::new();
    for route in routes {
        paths.add_path_operation(route.path, vec![method(route.verb)], operation(route));
    }
    OpenApiBuilder::new().info(info.build()).paths(paths).components(Some(components(routes))).build()
}

fn method(verb: Verb) -> HttpMethod {
    match verb {
        Verb::Get => HttpMethod::Get,
        Verb::Post => HttpMethod::Post,
        Verb::Put => HttpMethod::Put,
        Verb::Patch => HttpMethod::Patch,
        Verb::Delete => HttpMethod::Delete,
    }
}

fn components(routes: &[Route]) -> Components {
    let text = || ObjectBuilder::new().schema_type(Type::String);
    let problem = ObjectBuilder::new()
        .description(Some("RFC 9457 problem details"))
        .property("status", ObjectBuilder::new().schema_type(Type::Integer))
        .property("code", text().description(Some("stable, for programs")))
        .property("title", text().description(Some("for people")))
        .property("detail", text())
        .property("field", text().description(Some("which field of body or query is wrong")))
        .required("status")
        .required("code")
        .required("title");
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("an API token, `hw_at_…`"));
    let cookie = ApiKeyValue::with_description("headwater_session", "of `POST /api/v1/session`");
    let components = ComponentsBuilder::new()
        .security_scheme("token", SecurityScheme::Http(bearer.build()))
        .security_scheme("cookie", SecurityScheme::ApiKey(ApiKey::Cookie(cookie)))
        .schema(PROBLEM, problem);
    let shapes = routes.iter().filter_map(|route| route.answers.body.as_ref());
    let shapes = shapes.flat_map(|shape| {
        let own = (shape.name.clone(), shape.schema.clone());
        shape.refers_to.iter().cloned().chain([own])
    });
    shapes.fold(components, |components, (name, schema)| components.schema(name, schema)).build()
}

fn operation(route: &Route) -> Operation {
    let needs = Extensions::builder().add("x-permission", route.need.as_str()).build();
    let mut operation = OperationBuilder::new()
        .operation_id(Some(operation_id(route)))
        .summary(Some(sentence(route.says)))
        .description(Some(needs_in_words(route.need)))
        .extensions(Some(needs))
        .parameters(Some(parameters(route)))
        .request_body(body(&route.takes))
        .response(route.answers.status.as_str(), good(route))
        .response("default", bad());
    if route.need != Need::Nothing {
        let none: [&str; 0] = [];
        operation = operation.security(SecurityRequirement::new("token", none));
        operation = operation.security(SecurityRequirement::new("cookie", none));
    }
    operation.build()
}

/// Such as `get_channels_name_keys`.
fn operation_id(route: &Route) -> String {
    let path = route.path.trim_start_matches("/api/").trim_start_matches("v1/");
    let words = path.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let id = std::iter::once(route.verb.as_str().to_lowercase()).chain(words.map(str::to_owned));
    id.collect::<Vec<_>>().join("_")
}

fn sentence(words: &str) -> String {
    let mut chars = words.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

fn needs_in_words(need: Need) -> String {
    match need {
        Need::Nothing => "Needs nothing.".to_owned(),
        Need::SignedIn => "Needs a proof of being somebody.".to_owned(),
        Need::Everywhere(permission) => format!("Needs `{permission}` by role."),
        Need::OnChannel(permission) | Need::OnBroadcast(permission) | Need::OnViewerSession(permission) => {
            format!("Needs `{permission}` by role, or by role in the channel.")
        }
    }
}

fn parameters(route: &Route) -> Vec<Parameter> {
    let in_path = route.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let in_path = in_path.map(|name| parameter(name, ParameterIn::Path, Required::True, "", shape(Kind::Text)));
    let in_query = route.query.iter().map(|field| {
        let required = if field.required { Required::True } else { Required::False };
        parameter(field.name, ParameterIn::Query, required, field.says, shape(field.kind))
    });
    let header = |name, says| parameter(name, ParameterIn::Header, Required::False, says, shape(Kind::Text));
    let once = route.once.then(|| header("Idempotency-Key", "a second request with it is answered as the first was"));
    let matched = route.matched.then(|| header("If-Match", "the `ETag` of the version that is meant, else 412"));
    in_path.chain(in_query).chain(once).chain(matched).collect()
}

fn parameter(name: &str, place: ParameterIn, required: Required, says: &str, schema: Schema) -> Parameter {
    let parameter = ParameterBuilder::new().name(name).parameter_in(place).required(required).schema(Some(schema));
    match says {
        "" => parameter.build(),
        says => parameter.description(Some(says)).build(),
    }
}

fn shape(kind: Kind) -> Schema {
    let of = |of: Type| ObjectBuilder::new().schema_type(of);
    match kind {
        Kind::Text => of(Type::String).into(),
        Kind::Integer => of(Type::Integer).into(),
        Kind::Boolean => of(Type::Boolean).into(),
        Kind::Object => of(Type::Object).into(),
        Kind::Time => of(Type::String).format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime))).into(),
        Kind::Texts => ArrayBuilder::new().items(of(Type::String).build()).into(),
    }
}

fn body(takes: &Takes) -> Option<RequestBody> {
    match takes {
        Takes::Nothing => None,
        Takes::Json(fields) => {
            let required = if fields.iter().any(|field| field.required) { Required::True } else { Required::False };
            let content = Content::new(Some(object(fields)));
            Some(RequestBodyBuilder::new().required(Some(required)).content("application/json", content).build())
        }
        Takes::File(types) => {
            let file = RequestBodyBuilder::new().required(Some(Required::True));
            let content = || Content::new(None::<RefOr<Schema>>);
            Some(types.iter().fold(file, |file, of| file.content(*of, content())).build())
        }
    }
}

fn object(fields: &[Field]) -> Schema {
    let object = fields.iter().fold(ObjectBuilder::new(), |object, field| {
        let described = match shape(field.kind) {
            Schema::Object(mut object) => {
                object.description = Some(field.says.to_owned());
                Schema::Object(object)
            }
            other => other,
        };
        let object = object.property(field.name, described);
        if field.required { object.required(field.name) } else { object }
    });
    object.into()
}

fn good(route: &Route) -> Response {
    let answer = ResponseBuilder::new().description(route.answers.status.canonical_reason().unwrap_or("done"));
    let answer = match &route.answers.body {
        Some(shape) => {
            let content = Content::new(Some(Ref::from_schema_name(shape.name.clone())));
            answer.content("application/json", content)
        }
        None => answer,
    };
    match route.tagged {
        true => answer.header("ETag", HeaderBuilder::new().description(Some("its version")).build()).build(),
        false => answer.build(),
    }
}

fn bad() -> Response {
    let content = Content::new(Some(Ref::from_schema_name(PROBLEM)));
    ResponseBuilder::new().description("what is wrong").content(Problem::CONTENT_TYPE, content).build()
}

/// `docs/permissions.md`: the table of permissions, and what every route needs.
pub(crate) fn permissions_page(routes: &[Route]) -> String {
    let mut page = String::from(
        "# Who may do what\n\n\
         Made from the code; `HEADWATER_WRITE_DOCS=1 cargo test -p control-api --test api permissions` writes it anew.\n\n\
         ## Permissions\n\n\
         A role has its permissions everywhere, a role in a channel on that channel. `read` is the role of API tokens\n\
         without a user. The scopes of an API token are names of permissions: they narrow what its holder may, and widen\n\
         nothing.\n\n",
    );
    permission_table(&mut page);
    page.push_str("\n## Routes\n\n| request | needs | |\n|---|---|---|\n");
    for route in routes {
        let on = match route.need {
            Need::Nothing | Need::SignedIn => route.need.as_str().replace('_', " "),
            Need::Everywhere(permission) => format!("`{permission}`"),
            Need::OnChannel(permission) | Need::OnBroadcast(permission) | Need::OnViewerSession(permission) => {
                format!("`{permission}` on the channel")
            }
        };
        let _ = writeln!(page, "| `{} {}` | {on} | {} |", route.verb.as_str(), route.path, route.says);
    }
    page
}

fn permission_table(page: &mut String) {
    let roles = Role::ALL.map(Role::as_str).join(" | ");
    let in_channel = ChannelRole::ALL.map(|role| format!("channel's {}", role.as_str())).join(" | ");
    let _ = writeln!(page, "| permission | allows to | {roles} | {in_channel} |");
    let _ = writeln!(page, "|---|---|{}", "---|".repeat(Role::ALL.len() + ChannelRole::ALL.len()));
    for row in TABLE {
        let mark = |has: bool| if has { "yes" } else { "" };
        let by_role = Role::ALL.map(|role| mark(row.permission.is_of(role))).join(" | ");
        let in_channel = ChannelRole::ALL.map(|role| mark(row.permission.is_of_member(role))).join(" | ");
        let _ = writeln!(page, "| `{}` | {} | {by_role} | {in_channel} |", row.word, row.allows);
    }
}
