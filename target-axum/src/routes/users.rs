//! `GET /users/me`: the row of the token's user.

use std::sync::Arc;

use axum::extract::State;
use schema::{ErrorCode, Profile};

use crate::AppState;
use crate::auth::Authenticated;
use crate::error::Error;
use crate::json::Json;

pub(crate) async fn get_me(
    Authenticated(claims): Authenticated,
    State(state): State<Arc<AppState>>,
) -> Result<Json<Profile>, Error> {
    let profile = state.users.find(&claims.sub).await?;
    profile
        .map(Json)
        .ok_or_else(|| ErrorCode::UserNotFound.into())
}
