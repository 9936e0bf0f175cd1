//! Which resource a path names.
//!
//! Names of ours never need percent-encoding, and what is compared is the path as sent: an encoded or dotted path
//! simply names nothing.

use std::str::FromStr;
use std::sync::Arc;

use packager::live::LiveRendition;
use schema::id::RenditionName;
use schema::{BroadcastId, ChannelName};

use super::directory::{Directory, Listed};
use crate::guard::Entry;
use crate::metrics::Route;
use crate::refusal::Refusal;

/// The file name of every playlist.
const PLAYLIST: &str = "index.m3u8";
/// The file name of every playlist for rewinding.
const DVR: &str = "dvr.m3u8";
/// The file name of a channel's state.
const STATE: &str = "state.json";
/// The file name of a channel's state that is held until the channel is live. A name of its own, not a query: caches
/// that leave queries out would take both for one.
const AWAITED: &str = "awaited.json";
/// The file name of a channel's newest small picture.
const THUMBNAIL: &str = "thumbnail.jpg";

/// The path of a channel's multivariant playlist.
pub(crate) fn multivariant_path(channel: &ChannelName) -> String {
    format!("/live/{channel}/{PLAYLIST}")
}

/// The path of a channel's multivariant playlist for rewinding.
pub(crate) fn dvr_path(channel: &ChannelName) -> String {
    format!("/live/{channel}/{DVR}")
}

/// A path that has the shape of one of ours.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Resource<'a> {
    Multivariant(ChannelName),
    Dvr(ChannelName),
    State(ChannelName),
    AwaitedState(ChannelName),
    Thumbnail(ChannelName),
    Playlist(Address),
    DvrPlaylist(Address),
    Object(Address, &'a str),
}

/// A rendition's place in the URLs.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Address {
    channel: ChannelName,
    broadcast: BroadcastId,
    rendition: RenditionName,
}

impl<'a> Resource<'a> {
    /// Reads a path.
    pub(crate) fn parse(path: &'a str) -> Option<Self> {
        let mut names = path.strip_prefix("/live/")?.splitn(5, '/');
        let channel = parsed(names.next())?;
        let second = names.next()?;
        let Some(third) = names.next() else {
            return match second {
                PLAYLIST => Some(Self::Multivariant(channel)),
                DVR => Some(Self::Dvr(channel)),
                STATE => Some(Self::State(channel)),
                AWAITED => Some(Self::AwaitedState(channel)),
                THUMBNAIL => Some(Self::Thumbnail(channel)),
                _ => None,
            };
        };
        let address = Address { channel, broadcast: parsed(Some(second))?, rendition: parsed(Some(third))? };
        match (names.next()?, names.next()) {
            (PLAYLIST, None) => Some(Self::Playlist(address)),
            (DVR, None) => Some(Self::DvrPlaylist(address)),
            (object, None) => Some(Self::Object(address, object)),
            _ => None,
        }
    }

    /// The channel that it belongs to.
    pub(crate) fn channel(&self) -> &ChannelName {
        match self {
            Self::Multivariant(channel)
            | Self::Dvr(channel)
            | Self::State(channel)
            | Self::AwaitedState(channel)
            | Self::Thumbnail(channel) => channel,
            Self::Playlist(address) | Self::DvrPlaylist(address) | Self::Object(address, _) => &address.channel,
        }
    }

    pub(crate) fn route(&self) -> Route {
        match self {
            Self::Multivariant(_) => Route::Multivariant,
            Self::State(_) => Route::State,
            Self::AwaitedState(_) => Route::AwaitedState,
            Self::Thumbnail(_) => Route::Thumbnail,
            Self::Playlist(_) => Route::Playlist,
            Self::Dvr(_) | Self::DvrPlaylist(_) => Route::Dvr,
            Self::Object(..) => Route::Object,
        }
    }
}

fn parsed<T: FromStr>(name: Option<&str>) -> Option<T> {
    name?.parse().ok()
}

/// A rendition that exists.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) listed: Arc<Listed>,
    index: usize,
}

impl Place {
    /// Finds what an address names.
    pub(crate) fn find(directory: &Directory, address: &Address, entry: Entry) -> Result<Self, Refusal> {
        let listed = directory.listed(&address.broadcast).ok_or(Refusal::BroadcastUnknown)?;
        if listed.broadcast.channel != address.channel {
            return Err(Refusal::BroadcastUnknown);
        }
        let listed = listed.for_entry(entry)?;
        let named = |rendition: &LiveRendition| rendition.name == address.rendition;
        let index = listed.broadcast.renditions.iter().position(named).ok_or(Refusal::RenditionUnknown)?;
        Ok(Self { listed, index })
    }

    pub(crate) fn rendition(&self) -> &LiveRendition {
        &self.listed.broadcast.renditions[self.index]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_shape_of_path_names_its_resource() {
        let demo: ChannelName = "demo".parse().unwrap();
        let address = || Address {
            channel: "demo".parse().unwrap(),
            broadcast: "b1".parse().unwrap(),
            rendition: "720p".parse().unwrap(),
        };
        let cases = [
            ("/live/demo/index.m3u8", Resource::Multivariant(demo.clone())),
            ("/live/demo/state.json", Resource::State(demo.clone())),
            ("/live/demo/awaited.json", Resource::AwaitedState(demo.clone())),
            ("/live/demo/thumbnail.jpg", Resource::Thumbnail(demo.clone())),
            ("/live/demo/b1/720p/index.m3u8", Resource::Playlist(address())),
            ("/live/demo/dvr.m3u8", Resource::Dvr(demo.clone())),
            ("/live/demo/b1/720p/dvr.m3u8", Resource::DvrPlaylist(address())),
            ("/live/demo/b1/720p/seg-1-2.m4s", Resource::Object(address(), "seg-1-2.m4s")),
        ];
        for (path, resource) in cases {
            assert_eq!(Resource::parse(path), Some(resource), "{path}");
        }
        assert_eq!(multivariant_path(&demo), "/live/demo/index.m3u8");
    }

    #[test]
    fn odd_paths_name_nothing() {
        for path in [
            "",
            "*",
            "/",
            "/live",
            "/live/",
            "/live//index.m3u8",
            "/live/demo",
            "/live/demo/",
            "/live/demo/other.m3u8",
            "/live/demo/thumbnail.jpeg",
            "/live/demo/b1/thumbnail.jpg",
            "/live/demo/b1/dvr.m3u8",
            "/live/demo/b1/720p/dvr.m3u8/",
            "/live/demo/index.m3u8/",
            "/live/demo/b1",
            "/live/demo/b1/720p",
            "/live/demo/b1/720p/a/b",
            "/live/demo/b1/720p/../index.m3u8",
            "/live/../demo/index.m3u8",
            "/live/%64emo/index.m3u8",
            "/live/demo%2Findex.m3u8",
            "/live/demo/..%2f..%2fetc%2fpasswd",
            "/live/demo/b1/%2e%2e/index.m3u8",
            "/live/DEMO/index.m3u8",
            "/live/demo/index.M3U8",
            "//live/demo/index.m3u8",
            "/LIVE/demo/index.m3u8",
        ] {
            assert_eq!(Resource::parse(path), None, "{path}");
        }
    }

    proptest! {
        #[test]
        fn no_path_panics(path in "(/|live|demo|index.m3u8|[a-z0-9.%-]|.){0,12}") {
            let _any = Resource::parse(&path);
        }
    }
}
