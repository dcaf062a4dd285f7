//! The service and its router. A new endpoint needs its path and types in `schema`, a handler in a
//! module here, and a line in [`router`].

pub(crate) mod catalog;
mod health;
pub(crate) mod info;
pub(crate) mod movies;
pub(crate) mod users;

use std::any::Any;

use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use http_body_util::Either;
use schema::{ErrorCode, routes};
use serve::HttpService;
use tower::util::Either as EitherService;
use tower::{BoxError, ServiceBuilder};
use tower_http::body::UnsyncBoxBody;
use tower_http::catch_panic::CatchPanicLayer;

use crate::error::Error;
use crate::{AppState, tuned};

/// The body of a response: of the tuned profile, or passed on by `CatchPanic`.
pub(crate) type ServiceBody = Either<Body, UnsyncBoxBody<Bytes, BoxError>>;

/// Returns the target's service: the router in its layers, or the tuned profile's.
///
/// Timeouts and size limits are not layers: the contract has its own for the request body, the
/// upstream and the database, and checks the token first.
pub fn service(state: AppState) -> impl HttpService {
    let router = router(state.clone());
    match state.is_tuned() {
        true => EitherService::Left(tuned::service(state, router)),
        false => EitherService::Right(
            ServiceBuilder::new()
                .map_response(|response: http::Response<_>| response.map(ServiceBody::Right))
                .layer(CatchPanicLayer::custom(answer_panic))
                .service(router),
        ),
    }
}

/// Returns the router: which handler answers which request.
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
        .with_state(state)
}

/// Answers a panic in a handler; the panic hook has logged its message and place.
fn answer_panic(_panic: Box<dyn Any + Send>) -> Response {
    Error::from(ErrorCode::Internal).into_response()
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;
    use http::Request;
    use tower::ServiceExt;

    use super::*;

    #[tokio::test]
    async fn panic_in_a_handler_is_an_internal_error() {
        let handler = async || -> &str { panic!("on purpose") };
        let router: Router = Router::new()
            .route("/", get(handler))
            .layer(CatchPanicLayer::custom(answer_panic));
        let response = router.oneshot(Request::new(Body::empty())).await.unwrap();
        assert_eq!(response.status(), ErrorCode::Internal.status());
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        assert_eq!(body, ErrorCode::Internal.body().to_json());
    }
}
