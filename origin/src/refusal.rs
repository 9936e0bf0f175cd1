//! Every reason not to serve, with its status and stable code.

use std::time::Duration;

use http::StatusCode;
use schema::api::Problem;
use thiserror::Error;

use crate::live::decide::{Reason, TooFar};
use crate::live::directive::Malformed;

/// Why a request is answered with a problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum Refusal {
    #[error("there is nothing at this path")]
    NotFound,
    #[error("this resource is only read: GET, HEAD or OPTIONS")]
    MethodNotAllowed,
    #[error("the path and query are too long")]
    UriTooLong,
    #[error("the channel is not live")]
    ChannelOffline,
    #[error("this channel has no such broadcast, or it is over and gone")]
    BroadcastUnknown,
    #[error("this broadcast has no such rendition")]
    RenditionUnknown,
    #[error("there is no such segment, part or init section, and none is promised")]
    ObjectUnknown,
    #[error("there is no picture of this broadcast yet")]
    ThumbnailUnknown,
    #[error("nothing of this broadcast is kept for rewinding")]
    DvrUnknown,
    #[error("the file cannot be read now")]
    FileUnreadable,
    #[error("too many files are read on this node")]
    TooManyReads,
    #[error("{0}")]
    Directive(Malformed),
    #[error("{0}")]
    TooFar(TooFar),
    #[error("no byte lies in the range")]
    RangeUnsatisfiable,
    #[error("no new media came within three target durations")]
    ReloadTimeout,
    #[error("too many requests wait on this node")]
    TooManyHeld,
}

impl Refusal {
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::NotFound
            | Self::ChannelOffline
            | Self::BroadcastUnknown
            | Self::RenditionUnknown
            | Self::ObjectUnknown
            | Self::ThumbnailUnknown
            | Self::DvrUnknown => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::UriTooLong => StatusCode::URI_TOO_LONG,
            Self::Directive(_) | Self::TooFar(_) => StatusCode::BAD_REQUEST,
            Self::RangeUnsatisfiable => StatusCode::RANGE_NOT_SATISFIABLE,
            Self::ReloadTimeout | Self::TooManyHeld | Self::FileUnreadable | Self::TooManyReads => {
                StatusCode::SERVICE_UNAVAILABLE
            }
        }
    }

    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::UriTooLong => "uri_too_long",
            Self::ChannelOffline => "channel_offline",
            Self::BroadcastUnknown => "broadcast_unknown",
            Self::RenditionUnknown => "rendition_unknown",
            Self::ObjectUnknown => "object_unknown",
            Self::ThumbnailUnknown => "thumbnail_unknown",
            Self::DvrUnknown => "dvr_unknown",
            Self::FileUnreadable => "file_unreadable",
            Self::TooManyReads => "too_many_reads",
            Self::Directive(_) => "directive_malformed",
            Self::TooFar(_) => "directive_too_far",
            Self::RangeUnsatisfiable => "range_unsatisfiable",
            Self::ReloadTimeout => "reload_timeout",
            Self::TooManyHeld => "too_many_held",
        }
    }

    /// When to ask again, where the asker should know (RFC 9110 10.2.3).
    pub(crate) fn retry_after(self) -> Option<Duration> {
        matches!(self, Self::TooManyHeld | Self::TooManyReads).then_some(Duration::from_secs(1))
    }

    pub(crate) fn problem(self) -> Problem {
        Problem::new(self.status().as_u16(), self.code(), self.to_string())
    }
}

impl From<Reason> for Refusal {
    fn from(reason: Reason) -> Self {
        match reason {
            Reason::Malformed(why) => Self::Directive(why),
            Reason::TooFar(how) => Self::TooFar(how),
            Reason::NeverBegan => Self::ChannelOffline,
        }
    }
}
