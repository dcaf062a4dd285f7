//! `GET /users/me`: the row of the token's user.

use axum::Json;
use axum::extract::State;
use schema::{ErrorCode, Profile};

use crate::AppState;
use crate::auth::Authenticated;
use crate::error::Error;

pub(crate) async fn get_me(
    Authenticated(claims): Authenticated,
    State(state): State<AppState>,
) -> Result<Json<Profile>, Error> {
    let profile = state.find_user(&claims.sub).await?;
    profile
        .map(Json)
        .ok_or_else(|| ErrorCode::UserNotFound.into())
}
