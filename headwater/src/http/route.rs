//! Which kind of thing a path of the public port is about: who answers it, and its label in the figures.
//!
//! The set is closed, whatever clients send.

/// The kind of thing that a request is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route {
    /// `/live/{channel}/index.m3u8`.
    Multivariant,
    /// `/live/{channel}/state.json`.
    LiveState,
    /// `/live/{channel}/awaited.json`.
    LiveAwaited,
    /// `/live/{channel}/thumbnail.jpg`.
    LiveThumbnail,
    /// A media playlist.
    LivePlaylist,
    /// A playlist for rewinding.
    LiveDvr,
    /// An init section.
    LiveInit,
    /// A segment.
    LiveSegment,
    /// A part.
    LivePart,
    /// Below `/live`, but nothing of the above.
    LiveOther,
    /// `/whip` and below.
    Whip,
    /// `/api` and below, and the key set of its tokens.
    Api,
    /// A file that pages consist of.
    Asset,
    /// A page, or nothing.
    Page,
    /// Refused before anybody looked at its path.
    Other,
}

impl Route {
    /// All of them.
    pub(crate) const ALL: [Self; 15] = [
        Self::Multivariant,
        Self::LiveState,
        Self::LiveAwaited,
        Self::LiveThumbnail,
        Self::LivePlaylist,
        Self::LiveDvr,
        Self::LiveInit,
        Self::LiveSegment,
        Self::LivePart,
        Self::LiveOther,
        Self::Whip,
        Self::Api,
        Self::Asset,
        Self::Page,
        Self::Other,
    ];

    /// Its place in [`Route::ALL`].
    pub(crate) fn index(self) -> usize {
        self as usize
    }

    /// Its label.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Multivariant => "multivariant",
            Self::LiveState => "live_state",
            Self::LiveAwaited => "live_awaited",
            Self::LiveThumbnail => "live_thumbnail",
            Self::LivePlaylist => "live_playlist",
            Self::LiveDvr => "live_dvr",
            Self::LiveInit => "live_init",
            Self::LiveSegment => "live_segment",
            Self::LivePart => "live_part",
            Self::LiveOther => "live_other",
            Self::Whip => "whip",
            Self::Api => "api",
            Self::Asset => "asset",
            Self::Page => "page",
            Self::Other => "other",
        }
    }

    /// What `path` is about, by its shape alone.
    pub(crate) fn of(path: &str) -> Self {
        let below = |prefix: &str| path.strip_prefix(prefix).filter(|rest| rest.is_empty() || rest.starts_with('/'));
        match () {
            () if let Some(rest) = below("/live") => live(rest),
            () if let Some(rest) = below("/t") => {
                guarded(rest.split_once('/').and_then(|(_, rest)| rest.split_once('/')))
            }
            () if let Some(rest) = below("/private") => guarded(Some(("", rest.get(1..).unwrap_or_default()))),
            () if below("/whip").is_some() => Self::Whip,
            () if below("/api").is_some() || path == "/.well-known/jwks.json" => Self::Api,
            () if is_asset(path) => Self::Asset,
            () => Self::Page,
        }
    }

    /// Whether the origin answers it.
    pub(crate) fn is_live(self) -> bool {
        matches!(
            self,
            Self::Multivariant
                | Self::LiveState
                | Self::LiveAwaited
                | Self::LiveThumbnail
                | Self::LivePlaylist
                | Self::LiveDvr
                | Self::LiveInit
                | Self::LiveSegment
                | Self::LivePart
                | Self::LiveOther
        )
    }
}

/// The same behind a token or by an edge's way: what follows is `live/…`, or nothing of ours.
fn guarded(rest: Option<(&str, &str)>) -> Route {
    let rest = rest.and_then(|(_, rest)| rest.strip_prefix("live"));
    rest.filter(|rest| rest.starts_with('/')).map_or(Route::LiveOther, live)
}

/// What the part of a path behind `/live` is about.
fn live(rest: &str) -> Route {
    let (folder, name) = rest.rsplit_once('/').unwrap_or(("", rest));
    match (folder.bytes().filter(|byte| *byte == b'/').count(), name) {
        (1, "index.m3u8") => Route::Multivariant,
        (1, "state.json") => Route::LiveState,
        (1, "awaited.json") => Route::LiveAwaited,
        (1, "thumbnail.jpg") => Route::LiveThumbnail,
        (3, "index.m3u8") => Route::LivePlaylist,
        (1 | 3, "dvr.m3u8") => Route::LiveDvr,
        (3, _) if name.starts_with("part-") => Route::LivePart,
        (3, _) if name.starts_with("seg-") => Route::LiveSegment,
        (3, _) if name.starts_with("init-") => Route::LiveInit,
        _ => Route::LiveOther,
    }
}

/// Pages have no extension.
fn is_asset(path: &str) -> bool {
    path.starts_with("/_next/") || path.rsplit('/').next().is_some_and(|name| name.contains('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_path_has_its_kind() {
        for (path, route) in [
            ("/live/demo/index.m3u8", Route::Multivariant),
            ("/live/demo/state.json", Route::LiveState),
            ("/live/demo/awaited.json", Route::LiveAwaited),
            ("/live/demo/thumbnail.jpg", Route::LiveThumbnail),
            ("/live/demo/b1/thumbnail.jpg", Route::LiveOther),
            ("/live/demo/b1/720p/index.m3u8", Route::LivePlaylist),
            ("/live/demo/dvr.m3u8", Route::LiveDvr),
            ("/live/demo/b1/720p/dvr.m3u8", Route::LiveDvr),
            ("/live/demo/b1/dvr.m3u8", Route::LiveOther),
            ("/live/demo/b1/720p/init-1-0.mp4", Route::LiveInit),
            ("/live/demo/b1/720p/seg-1-2.m4s", Route::LiveSegment),
            ("/live/demo/b1/720p/part-1-2-3.m4s", Route::LivePart),
            ("/t/a.b.c/live/demo/index.m3u8", Route::Multivariant),
            ("/t/a.b.c/live/demo/b1/720p/part-1-2-3.m4s", Route::LivePart),
            ("/t/a.b.c/lively", Route::LiveOther),
            ("/t/a.b.c", Route::LiveOther),
            ("/t", Route::LiveOther),
            ("/tv", Route::Page),
            ("/private/live/demo/b1/720p/index.m3u8", Route::LivePlaylist),
            ("/private/rules", Route::LiveOther),
            ("/private", Route::LiveOther),
            ("/privately", Route::Page),
            ("/live", Route::LiveOther),
            ("/live/", Route::LiveOther),
            ("/live/demo/b1/720p/x/part-1-2-3.m4s", Route::LiveOther),
            ("/lively", Route::Page),
            ("/whip", Route::Whip),
            ("/whip/sessions/x", Route::Whip),
            ("/whipped", Route::Page),
            ("/api/v1/channels", Route::Api),
            ("/.well-known/jwks.json", Route::Api),
            ("/.well-known/other.json", Route::Asset),
            ("/", Route::Page),
            ("/watch/demo", Route::Page),
            ("/_next/static/a.js", Route::Asset),
            ("/favicon.ico", Route::Asset),
            ("", Route::Page),
            ("*", Route::Page),
        ] {
            assert_eq!(Route::of(path), route, "{path}");
        }
    }
}
