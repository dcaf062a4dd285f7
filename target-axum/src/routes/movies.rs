//! `POST /movies`: a token and a JSON body in, the movie with a fresh id and its creator out.

use std::borrow::Cow;

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use schema::{Movie, UserRef};
use uuid::Uuid;

use crate::auth::Authenticated;
use crate::body::JsonBody;
use crate::error::Error;
use crate::json::Json;

pub(crate) async fn create_movie(
    Authenticated(claims): Authenticated,
    body: JsonBody,
) -> Result<Response, Error> {
    let movie = Movie {
        new: body.decode()?,
        id: Uuid::new_v4(),
        user: UserRef {
            id: Cow::Owned(claims.sub),
            name: Cow::Owned(claims.name),
        },
    };
    Ok((StatusCode::CREATED, Json(movie)).into_response())
}
