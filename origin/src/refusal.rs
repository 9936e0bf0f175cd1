//! Every reason not to serve, with its status and stable code.

use std::time::Duration;

use http::StatusCode;
use schema::api::Problem;
use schema::playback::TokenError;
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
    #[error("this channel is for its members; ask for playback at /api/v1/playback/ and its name")]
    MembersOnly,
    #[error("{}", TokenError::Invalid)]
    TokenInvalid,
    #[error("{}", TokenError::Expired)]
    TokenExpired,
    #[error("{}", TokenError::OtherChannel)]
    TokenOtherChannel,
    #[error("this viewer session was put out")]
    PutOut,
    #[error("this path is for edges, which prove to be one")]
    EdgeOnly,
    #[error("the node has no rules of private playback yet")]
    RulesUnknown,
}

impl Refusal {
    /// Those for want of a right.
    pub(crate) const OF_GUARD: [Self; 6] = [
        Self::MembersOnly,
        Self::TokenInvalid,
        Self::TokenExpired,
        Self::TokenOtherChannel,
        Self::PutOut,
        Self::EdgeOnly,
    ];

    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::NotFound
            | Self::ChannelOffline
            | Self::BroadcastUnknown
            | Self::RenditionUnknown
            | Self::ObjectUnknown
            | Self::ThumbnailUnknown
            | Self::DvrUnknown => StatusCode::NOT_FOUND,
            Self::MembersOnly
            | Self::TokenInvalid
            | Self::TokenExpired
            | Self::TokenOtherChannel
            | Self::PutOut
            | Self::EdgeOnly => StatusCode::FORBIDDEN,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::UriTooLong => StatusCode::URI_TOO_LONG,
            Self::Directive(_) | Self::TooFar(_) => StatusCode::BAD_REQUEST,
            Self::RangeUnsatisfiable => StatusCode::RANGE_NOT_SATISFIABLE,
            Self::ReloadTimeout
            | Self::TooManyHeld
            | Self::FileUnreadable
            | Self::TooManyReads
            | Self::RulesUnknown => StatusCode::SERVICE_UNAVAILABLE,
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
            Self::MembersOnly => "members_only",
            Self::TokenInvalid => "token_invalid",
            Self::TokenExpired => "token_expired",
            Self::TokenOtherChannel => "token_other_channel",
            Self::PutOut => "viewer_put_out",
            Self::EdgeOnly => "edge_only",
            Self::RulesUnknown => "rules_unknown",
        }
    }

    /// When to ask again, where the asker should know (RFC 9110 10.2.3).
    pub(crate) fn retry_after(self) -> Option<Duration> {
        matches!(self, Self::TooManyHeld | Self::TooManyReads).then_some(Duration::from_secs(1))
    }

    /// Whether it keeps what is not for everybody from somebody.
    pub(crate) fn is_of_guard(self) -> bool {
        Self::OF_GUARD.contains(&self)
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
