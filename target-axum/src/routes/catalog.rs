//! `GET /catalog`: calls the upstream, decodes its product and encodes it again.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use schema::{ErrorCode, Product, json};

use crate::AppState;
use crate::error::Error;

pub(crate) async fn get_catalog(State(state): State<Arc<AppState>>) -> Result<Response, Error> {
    let body = state.fetch_product().await?;
    let product: Product<'_> = json::from_slice(&body)
        .map_err(|error| Error::from(ErrorCode::UpstreamUnavailable).because(error))?;
    // Encoded here, because the product borrows from the body.
    Ok(Json(product).into_response())
}
