//! The built pages, served from the binary: which file answers which path, and with what headers.
//!
//! Dynamic routes are one exported placeholder each, which is filled with title and preview here; the
//! client reads the rest from the URL.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{Extensions, HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use origin::Directory;
use rust_embed::RustEmbed;
use schema::ChannelName;
use schema::api::Problem;

use self::asset::Asset;

mod asset;
mod preview;
mod start;

#[derive(RustEmbed)]
#[folder = "$OUT_DIR/pages"]
struct Files;

/// The placeholder that every watch page is made of.
const WATCH_PAGE: &str = "watch/_.html";
/// Where the build left the hashes of the pages' inline scripts.
const HASHES: &str = "csp-hashes.json";
/// What the client's build writes where the title belongs.
const TITLE_MARK: &str = "__HW_TITLE__";
/// What the client's build writes where the channel's name belongs.
const CHANNEL_MARK: &str = "__HW_CHANNEL__";
/// The page that goes live from the browser: the only one that may ask for devices.
const STUDIO_PAGE: &str = "studio.html";
/// File names under this folder carry a hash of their content.
const HASHED_FOLDER: &str = "_next/static/";

/// Everything the pages need at run time. Cloning is cheap.
#[derive(Clone)]
struct Pages {
    directory: Directory,
    assets: Arc<HashMap<String, Asset>>,
    script_hashes: Arc<HashMap<String, Vec<String>>>,
}

/// Whether the binary was built with its pages.
pub(crate) fn are_built() -> bool {
    Files::get(WATCH_PAGE).is_some()
}

/// The routes of all pages: a router whose fallback answers every path.
pub(crate) fn router(directory: Directory) -> Router {
    let assets: HashMap<_, _> =
        Files::iter().filter_map(|name| Some((name.to_string(), Asset::new(Files::get(&name)?)))).collect();
    let script_hashes = assets.get(HASHES).map(|file| script_hashes(file.plain())).unwrap_or_default();
    let pages = Pages { directory, assets: Arc::new(assets), script_hashes: Arc::new(script_hashes) };
    Router::new().fallback(move |method: Method, uri: Uri, headers: HeaderMap, extensions: Extensions| {
        let base = || preview::base(&uri, &headers, &extensions);
        let answer = pages.answer(&method, uri.path(), &headers, base);
        async move { answer }
    })
}

/// File name of a page → the CSP hashes of its inline scripts.
fn script_hashes(file: &[u8]) -> HashMap<String, Vec<String>> {
    match serde_json::from_slice::<HashMap<String, Vec<String>>>(file) {
        Ok(hashes) => {
            hashes.into_iter().map(|(page, hashes)| (page.trim_start_matches('/').to_owned(), hashes)).collect()
        }
        Err(error) => {
            tracing::error!(%error, "the pages' script hashes cannot be read; scripts will be blocked");
            HashMap::new()
        }
    }
}

/// What a path names.
#[derive(Debug, PartialEq, Eq)]
enum Target {
    /// A file as it is.
    File(String),
    /// The watch page of a channel.
    Watch(ChannelName),
    /// Nothing.
    Missing,
}

/// Which file answers `path`; `exists` tells the names of the built files.
fn resolve(path: &str, exists: impl Fn(&str) -> bool) -> Target {
    let name = path.trim_matches('/');
    if let Some(channel) = name.strip_prefix("watch/")
        && let Ok(channel) = channel.parse()
    {
        return Target::Watch(channel);
    }
    let candidates = match name {
        "" => vec!["index.html".to_owned()],
        _ => vec![name.to_owned(), format!("{name}.html"), format!("{name}/index.html")],
    };
    candidates
        .into_iter()
        .find(|candidate| exists(candidate) && candidate != HASHES)
        .map_or(Target::Missing, Target::File)
}

impl Pages {
    /// `base` tells by which address the client reached us.
    fn answer(
        &self,
        method: &Method,
        path: &str,
        headers: &HeaderMap,
        base: impl FnOnce() -> Option<String>,
    ) -> Response {
        if method != Method::GET && method != Method::HEAD {
            return not_allowed();
        }
        match resolve(path, |name| self.assets.contains_key(name)) {
            Target::File(name) => self.file(&name, StatusCode::OK, headers),
            Target::Watch(channel) => self.watch(&channel, base()),
            Target::Missing => self.file("404.html", StatusCode::NOT_FOUND, headers),
        }
    }

    fn file(&self, name: &str, status: StatusCode, headers: &HeaderMap) -> Response {
        let Some(asset) = self.assets.get(name) else { return missing() };
        let form = asset.form(origin::accepts_gzip(headers));
        let known = headers.get(header::IF_NONE_MATCH).is_some_and(|value| value == form.etag);
        let mut response = match (known, status) {
            (true, StatusCode::OK) => StatusCode::NOT_MODIFIED.into_response(),
            _ => (status, Body::from(form.body)).into_response(),
        };
        let has_body = response.status() != StatusCode::NOT_MODIFIED;
        let headers = response.headers_mut();
        self.describe(headers, name);
        headers.insert(header::ETAG, form.etag);
        headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
        if form.is_gzip && has_body {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        response
    }

    /// The placeholder with the channel's title and preview; the name stands in while the channel is not live.
    fn watch(&self, channel: &ChannelName, base: Option<String>) -> Response {
        let Some(page) = self.assets.get(WATCH_PAGE) else { return missing() };
        let live = self.directory.current_for_everybody(channel);
        let title = live.as_ref().map_or_else(|| channel.to_string(), |live| live.title.clone());
        let html = preview::fill(&String::from_utf8_lossy(page.plain()), base.as_deref(), live.as_deref())
            .replace(CHANNEL_MARK, channel.as_str())
            .replace(TITLE_MARK, &escape(&title));
        let html = start::fill(&html, &self.directory, channel);
        let mut response = html.into_response();
        self.describe(response.headers_mut(), WATCH_PAGE);
        response
    }

    /// Type, caching and protection of a page or asset.
    fn describe(&self, headers: &mut HeaderMap, name: &str) {
        let mut set =
            |key: header::HeaderName, value: &'static str| headers.insert(key, HeaderValue::from_static(value));
        set(header::CONTENT_TYPE, content_type(name));
        set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
        set(header::REFERRER_POLICY, "same-origin");
        let cache = if name.starts_with(HASHED_FOLDER) { "public, max-age=31536000, immutable" } else { "no-cache" };
        set(header::CACHE_CONTROL, cache);
        if std::path::Path::new(name).extension().is_some_and(|extension| extension == "html")
            && let Ok(policy) = HeaderValue::from_str(&self.policy(name))
        {
            headers.insert(header::CONTENT_SECURITY_POLICY, policy);
            headers.insert(PERMISSIONS_POLICY, HeaderValue::from_static(permissions(name)));
        }
    }

    /// The content security policy of a page: everything from this origin, inline scripts by their hash.
    fn policy(&self, name: &str) -> String {
        let hashes = self.script_hashes.get(name).map(Vec::as_slice).unwrap_or_default();
        let scripts: String = hashes.iter().map(|hash| format!(" '{hash}'")).collect();
        format!(
            "default-src 'self'; script-src 'self'{scripts}; style-src 'self'; img-src 'self' data: blob:; \
             media-src 'self' blob:; worker-src 'self' blob:; connect-src 'self'; object-src 'none'; \
             base-uri 'none'; form-action 'self'; frame-ancestors 'self'"
        )
    }
}

/// <https://www.w3.org/TR/permissions-policy/>; the `http` crate has no name for it.
const PERMISSIONS_POLICY: header::HeaderName = header::HeaderName::from_static("permissions-policy");

/// Which devices a page may ask the browser for; pages inside it may not.
fn permissions(name: &str) -> &'static str {
    if name == STUDIO_PAGE {
        "camera=(self), microphone=(self), display-capture=(self)"
    } else {
        "camera=(), microphone=(), display-capture=()"
    }
}

fn not_allowed() -> Response {
    let problem = Problem::new(405, "method_not_allowed", "Pages can only be read");
    (
        [(header::ALLOW, "GET, HEAD"), (header::CONTENT_TYPE, Problem::CONTENT_TYPE)],
        status_body(StatusCode::METHOD_NOT_ALLOWED, &problem),
    )
        .into_response()
}

fn missing() -> Response {
    let problem = Problem::new(404, "not_found", "There is nothing at this address");
    ([(header::CONTENT_TYPE, Problem::CONTENT_TYPE)], status_body(StatusCode::NOT_FOUND, &problem)).into_response()
}

fn status_body(status: StatusCode, problem: &Problem) -> Response {
    (status, serde_json::to_vec(problem).unwrap_or_default()).into_response()
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" => "application/json",
        "txt" => "text/plain; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "webp" => "image/webp",
        "woff2" => "font/woff2",
        _ => "application/octet-stream",
    }
}

/// Makes `text` safe inside HTML text and quoted attributes.
fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_a_file_a_page_or_a_watch_page() {
        let exists = |name: &str| ["index.html", "studio.html", "_next/static/a.js", "csp-hashes.json"].contains(&name);
        let file = |name: &str| Target::File(name.to_owned());
        for (path, expected) in [
            ("/", file("index.html")),
            ("/studio", file("studio.html")),
            ("/studio/", file("studio.html")),
            ("/_next/static/a.js", file("_next/static/a.js")),
            ("/watch/demo", Target::Watch("demo".parse().unwrap())),
            ("/watch/demo/", Target::Watch("demo".parse().unwrap())),
            ("/watch/De%20mo", Target::Missing),
            ("/csp-hashes.json", Target::Missing),
            ("/../Cargo.toml", Target::Missing),
        ] {
            assert_eq!(resolve(path, exists), expected, "{path}");
        }
    }

    #[test]
    fn every_page_runs_only_scripts_of_ours_and_stands_in_no_foreign_frame() {
        let assets: HashMap<_, _> =
            Files::iter().filter_map(|name| Some((name.to_string(), Asset::new(Files::get(&name)?)))).collect();
        let known = HashMap::from([("a.html".to_owned(), vec!["sha256-abc".to_owned()])]);
        let built = assets.get(HASHES).map(|file| script_hashes(file.plain())).unwrap_or_default();
        let names = assets.keys().filter(|name| name.ends_with(".html")).cloned().chain(["a.html".to_owned()]);
        let names: Vec<String> = names.collect();
        let script_hashes = Arc::new(built.into_iter().chain(known).collect());
        let pages = Pages { directory: Directory::default(), assets: Arc::new(assets), script_hashes };
        for name in names {
            let mut headers = HeaderMap::new();
            pages.describe(&mut headers, &name);
            let policy = headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
            let directives: HashMap<&str, &str> =
                policy.split(';').filter_map(|directive| directive.trim().split_once(' ')).collect();
            assert!(
                !policy.contains("unsafe") && !policy.contains('*') && !policy.contains("http"),
                "{name}: {policy}"
            );
            assert!(directives["script-src"].starts_with("'self'"), "{name}: {policy}");
            for (directive, value) in [
                ("frame-ancestors", "'self'"),
                ("base-uri", "'none'"),
                ("form-action", "'self'"),
                ("object-src", "'none'"),
            ] {
                assert_eq!(directives.get(directive), Some(&value), "{name}: {policy}");
            }
        }
        assert!(pages.policy("a.html").contains("script-src 'self' 'sha256-abc';"));
    }

    #[test]
    fn only_the_studio_may_ask_for_devices() {
        assert!(permissions("studio.html").contains("camera=(self)"));
        for other in ["index.html", WATCH_PAGE, "404.html", "studio/index.html"] {
            assert!(!permissions(other).contains("self"), "{other}");
        }
    }

    #[test]
    fn a_title_cannot_break_out_of_the_page() {
        assert_eq!(escape("<a href=\"x\">'&"), "&lt;a href=&quot;x&quot;&gt;&#39;&amp;");
    }
}
