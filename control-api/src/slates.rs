//! Slates: the still picture that a channel shows while its publisher is gone. Taken as it is; only
//! its header is read here, and whoever shows it decodes it.

use axum::extract::{FromRequest, Request, State};
use axum::http::header::{CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use schema::ChannelName;
use schema::api::Slate;
use serde_json::json;
use uuid::Uuid;

use crate::ControlApi;
use crate::audit::{Actor, Deed};
use crate::channels::channel_id;
use crate::http::extract::{ChannelPath, invalid};
use crate::http::guard::read;
use crate::http::problem::ApiError;
use crate::sql;

/// Where a channel's slate is.
pub(crate) const PATH: &str = "/api/v1/channels/{name}/slate";

/// The begin of every PNG file: its signature, and the head of its first chunk (PNG 5.2 and 5.6).
const PNG_BEGIN: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";
/// The begin of every JPEG file: SOI, and the first byte of the next marker (ITU-T T.81 B.2.1).
const JPEG_BEGIN: &[u8] = b"\xff\xd8\xff";

/// What a slate may be.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Png,
    Jpeg,
}

impl Kind {
    /// By the `Content-Type` alone; nobody guesses.
    fn of(headers: &HeaderMap) -> Option<Self> {
        let said = headers.get(CONTENT_TYPE)?.to_str().ok()?;
        let essence = said.split(';').next().unwrap_or_default().trim();
        [Self::Png, Self::Jpeg].into_iter().find(|kind| kind.media_type().eq_ignore_ascii_case(essence))
    }

    fn media_type(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
        }
    }

    fn check(self, data: &[u8]) -> Result<(), ApiError> {
        let begin = match self {
            Self::Png => PNG_BEGIN,
            Self::Jpeg => JPEG_BEGIN,
        };
        let size = imagesize::blob_size(data).ok().filter(|_| data.starts_with(begin));
        let size = size.ok_or_else(|| invalid("slate", format!("is no {} that can be read", self.media_type())))?;
        let fits = |side| u32::try_from(side).is_ok_and(|side| (Slate::SIDE_MIN..=Slate::SIDE_MAX).contains(&side));
        match fits(size.width) && fits(size.height) {
            true => Ok(()),
            false => {
                let reason = format!("must be {} to {} pixels on each side", Slate::SIDE_MIN, Slate::SIDE_MAX);
                Err(invalid("slate", reason))
            }
        }
    }
}

/// A body that is a slate. It must come after the caller, who is thus known before it is read.
pub(crate) struct SlateBody(Slate);

impl<S: Send + Sync> FromRequest<S> for SlateBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let kind = Kind::of(request.headers()).ok_or_else(|| ApiError::Body {
            status: StatusCode::UNSUPPORTED_MEDIA_TYPE,
            code: "content_type_unsupported",
            title: "a slate is image/png or image/jpeg".into(),
        })?;
        let data = read(request.into_body(), Slate::BYTES_MAX).await?;
        kind.check(&data)?;
        Ok(Self(Slate { content_type: kind.media_type().to_owned(), data }))
    }
}

/// `GET /api/v1/channels/{name}/slate`
pub(crate) async fn show(
    State(api): State<ControlApi>,
    ChannelPath(name): ChannelPath,
) -> Result<impl IntoResponse, ApiError> {
    let mut work = api.begin().await?;
    let channel = channel_id(&mut work, &name).await?;
    let sql = "select slate_type, slate from channels where id = $1 and slate is not null";
    let found: Option<(String, Vec<u8>)> = sql::query_as(sql).bind(channel).fetch_optional(&mut *work).await?;
    let (content_type, data) = found.ok_or(ApiError::Unknown("slate"))?;
    Ok(([(CONTENT_TYPE, content_type), (X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned())], data))
}

/// `PUT /api/v1/channels/{name}/slate`, with the file as body. It bites at the next admission.
pub(crate) async fn replace(
    actor: Actor,
    State(api): State<ControlApi>,
    ChannelPath(name): ChannelPath,
    SlateBody(slate): SlateBody,
) -> Result<StatusCode, ApiError> {
    store(&api, &actor, &name, Some(slate)).await
}

/// `DELETE /api/v1/channels/{name}/slate`. Harmless when repeated.
pub(crate) async fn remove(
    actor: Actor,
    State(api): State<ControlApi>,
    ChannelPath(name): ChannelPath,
) -> Result<StatusCode, ApiError> {
    store(&api, &actor, &name, None).await
}

async fn store(
    api: &ControlApi,
    actor: &Actor,
    name: &ChannelName,
    slate: Option<Slate>,
) -> Result<StatusCode, ApiError> {
    let sql = "update channels set slate = $2, slate_type = $3, updated_at = now(), version = version + 1 \
               where name = $1 and deleted_at is null returning id";
    let mut work = api.begin().await?;
    let channel: Option<Uuid> = sql::query_scalar(sql)
        .bind(name.as_str())
        .bind(slate.as_ref().map(|slate| slate.data.as_ref()))
        .bind(slate.as_ref().map(|slate| slate.content_type.as_str()))
        .fetch_optional(&mut *work)
        .await?;
    let channel = channel.ok_or(ApiError::Unknown("channel"))?;
    let action = if slate.is_some() { "slate.replace" } else { "slate.remove" };
    let details = json!({ "channel": name.as_str(), "bytes": slate.map(|slate| slate.data.len()) });
    let deed = Deed { action, kind: "channel", id: channel.to_string(), channel: Some(channel), details };
    actor.note(&mut work, deed).await?;
    work.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}
