//! `GET /catalog`: calls the upstream, decodes its product and encodes it again.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use schema::{ErrorCode, Product, json};

use crate::AppState;
use crate::error::Error;

pub(crate) async fn get_catalog(State(state): State<AppState>) -> Result<Response, Error> {
    let body = state.fetch_product().await?;
    let product = decode_product(&body)?;
    // Encoded here, because the product borrows from the body.
    Ok(Json(product).into_response())
}

pub(crate) fn decode_product(body: &[u8]) -> Result<Product<'_>, Error> {
    json::from_slice(body)
        .map_err(|error| Error::from(ErrorCode::UpstreamUnavailable).because(error))
}
