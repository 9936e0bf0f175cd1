//! API tokens: who may administer.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use crate::ControlApi;
use crate::http::problem::ApiError;
use crate::permission::Role;
use crate::principal::Principal;

/// A caller of the role `admin`, not narrowed.
pub(crate) struct Admin(pub(crate) Principal);

impl FromRequestParts<ControlApi> for Admin {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &ControlApi) -> Result<Self, ApiError> {
        let principal = <Principal as FromRequestParts<ControlApi>>::from_request_parts(parts, api).await?;
        match principal.role == Role::Admin && principal.scopes.is_none() {
            true => Ok(Self(principal)),
            false => Err(ApiError::RoleInsufficient),
        }
    }
}
