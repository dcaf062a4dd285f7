//! `GET /info`: a typed value, serialised anew for every response.

use axum::response::IntoResponse;
use http::{HeaderName, HeaderValue};
use schema::{fixtures, routes};
use uuid::Uuid;

use crate::json::Json;

const RESPONSE_ID: HeaderName = HeaderName::from_static(routes::RESPONSE_ID);

pub(crate) async fn get_info() -> impl IntoResponse {
    let mut id = Uuid::encode_buffer();
    let id: &str = Uuid::new_v4().hyphenated().encode_lower(&mut id);
    let id = HeaderValue::from_str(id).expect("a UUID is visible ASCII");
    ([(RESPONSE_ID, id)], Json(fixtures::info()))
}
