//! `POST /movies`: verify a token, validate a JSON body.

use actix_web::error::JsonPayloadError;
use actix_web::{HttpResponse, post, web};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::auth::Claims;
use crate::error::Error;

const BODY_MAX_BYTES: usize = 64 * 1024;

#[derive(Deserialize)]
pub struct NewMovie {
    title: String,
    year: i32,
    director: String,
    genre: String,
    rating: f64,
}

#[derive(Serialize)]
struct Movie {
    title: String,
    year: i32,
    director: String,
    genre: String,
    rating: f64,
    id: Uuid,
    user: User,
}

#[derive(Serialize)]
struct User {
    id: String,
    name: String,
}

#[post("/movies")]
pub async fn create(claims: Claims, new: web::Json<NewMovie>) -> HttpResponse {
    let new = new.into_inner();
    HttpResponse::Created().json(Movie {
        title: new.title,
        year: new.year,
        director: new.director,
        genre: new.genre,
        rating: new.rating,
        id: Uuid::new_v4(),
        user: User {
            id: claims.sub,
            name: claims.name,
        },
    })
}

pub fn json_config() -> web::JsonConfig {
    web::JsonConfig::default()
        .limit(BODY_MAX_BYTES)
        .error_handler(|error, _| refusal(error).into())
}

fn refusal(error: JsonPayloadError) -> Error {
    match error {
        JsonPayloadError::Overflow { .. } | JsonPayloadError::OverflowKnownLength { .. } => {
            Error::BodyTooLarge
        }
        JsonPayloadError::ContentType => Error::UnsupportedMediaType,
        JsonPayloadError::Deserialize(error) if error.is_data() => {
            Error::InvalidBody(error.to_string())
        }
        _ => Error::MalformedBody,
    }
}
