//! The service and its router. A new endpoint: its path and types in `schema`, its handler in a
//! module here, its line in [`router`].

mod catalog;
mod health;
mod info;
mod movies;
mod users;

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use futures_util::FutureExt;
use http::Request;
use http_body::Body;
use schema::{ErrorCode, routes};
use serve::HttpService;
use tower::{BoxError, Service, ServiceExt};

use crate::AppState;
use crate::error::Error;

/// The target's service: its router, and a panic in a handler is a 500 like everything unforeseen.
pub fn service(state: AppState) -> impl HttpService {
    catch_panics(router(state))
}

/// What answers which request.
pub fn router(state: AppState) -> Router {
    Router::new()
        .route(routes::INFO, get(info::get_info))
        .route(routes::MOVIES, post(movies::create_movie))
        .route(routes::CATALOG, get(catalog::get_catalog))
        .route(routes::PROXY, get(catalog::get_catalog))
        .route(routes::USERS_ME, get(users::get_me))
        .route(routes::HEALTH, get(health::get_health))
        .route(routes::READY, get(health::get_ready))
        .fallback(async || Error::from(ErrorCode::NotFound))
        .method_not_allowed_fallback(async || Error::from(ErrorCode::MethodNotAllowed))
        .with_state(Arc::new(state))
}

/// Around the router: a layer within is boxed once more for each request, and tower-http's boxes each
/// answer's body.
fn catch_panics<B>(
    router: Router,
) -> impl Service<Request<B>, Response = Response, Error = Infallible, Future: Send> + Clone + Send
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    tower::service_fn(move |request| {
        let answer = AssertUnwindSafe(router.clone().oneshot(request)).catch_unwind();
        // The panic's message and place are in the log already.
        answer.map(|answer| {
            answer.unwrap_or_else(|_| Ok(Error::from(ErrorCode::Internal).into_response()))
        })
    })
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt, Empty};

    use super::*;

    #[tokio::test]
    async fn a_panic_in_a_handler_is_an_internal_error() {
        let handler = async || -> &str { panic!("on purpose") };
        let router: Router = Router::new().route("/", get(handler));
        let response = catch_panics(router)
            .oneshot(Request::new(Empty::new()))
            .await
            .unwrap();
        assert_eq!(response.status(), ErrorCode::Internal.status());
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, ErrorCode::Internal.body().to_json());
    }
}
