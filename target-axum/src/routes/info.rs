//! `GET /info`: a typed value, serialised for every response.

use axum::Json;
use http::{HeaderName, HeaderValue};
use schema::{Info, fixtures, routes};
use uuid::Uuid;

const RESPONSE_ID: HeaderName = HeaderName::from_static(routes::RESPONSE_ID);

pub(crate) async fn get_info() -> ([(HeaderName, HeaderValue); 1], Json<Info<'static>>) {
    let mut id = Uuid::encode_buffer();
    let id: &str = Uuid::new_v4().hyphenated().encode_lower(&mut id);
    let id = HeaderValue::from_str(id).expect("a UUID is visible ASCII");
    ([(RESPONSE_ID, id)], Json(fixtures::info()))
}
