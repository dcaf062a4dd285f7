//! `POST /movies`: a token and a JSON body in, the movie with a fresh id and its creator out.

use axum::Json;
use http::StatusCode;
use schema::{Movie, NewMovie, UserRef};
use uuid::Uuid;

use crate::auth::Authenticated;
use crate::body::JsonBody;

pub(crate) async fn create_movie(
    Authenticated(claims): Authenticated,
    JsonBody(new): JsonBody<NewMovie<'static>>,
) -> (StatusCode, Json<Movie<'static>>) {
    let movie = Movie {
        new,
        id: Uuid::new_v4(),
        user: UserRef {
            id: claims.sub.into(),
            name: claims.name.into(),
        },
    };
    (StatusCode::CREATED, Json(movie))
}
