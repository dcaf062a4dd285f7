//! Replaces axum's router, its responses and tower-http's `CatchPanic` for the endpoints of the
//! scenarios: they box the bodies of the request and the response, and the future of the handler. Every
//! other request goes to the router. The handlers are the same, or the steps of one. It saves 10 % of the
//! CPU time of `info` (docs/PERFORMANCE.md, like the other files' values).

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::thread;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use futures_util::FutureExt;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, StatusCode};
use schema::{ErrorCode, routes};
use serde::Serialize;
use serve::{HttpService, RequestBody};
use tower::{ServiceExt, service_fn};

use crate::AppState;
use crate::auth::Authenticated;
use crate::body::JsonBody;
use crate::error::Error;
use crate::routes::{ServiceBody, catalog, info, movies, users};

/// More bytes than the longest response of a scenario.
const JSON_CAPACITY: usize = 512;

/// Returns the service of a worker; `router` answers the requests of no scenario.
pub(crate) fn service(
    state: AppState,
    router: Router,
) -> impl HttpService<ResponseBody = ServiceBody, Error = Infallible> {
    service_fn(move |request| {
        let (state, router) = (state.clone(), router.clone());
        async move {
            let answer = AssertUnwindSafe(answer(request, state, router)).catch_unwind();
            let response = response(answer.await);
            Ok::<_, Infallible>(response.map(ServiceBody::Left))
        }
    })
}

/// Returns the response of an answer; a panic is an internal error, whose message and place the hook has logged.
fn response(answer: thread::Result<Result<Response, Error>>) -> Response {
    let answer = answer.unwrap_or_else(|_| Err(ErrorCode::Internal.into()));
    answer.unwrap_or_else(IntoResponse::into_response)
}

async fn answer(
    request: Request<RequestBody>,
    state: AppState,
    router: Router,
) -> Result<Response, Error> {
    match (request.method(), request.uri().path()) {
        (&Method::GET, routes::INFO) => {
            let ([(name, id)], Json(info)) = info::get_info().await;
            let mut response = json(StatusCode::OK, &info);
            response.headers_mut().insert(name, id);
            Ok(response)
        }
        (&Method::POST, routes::MOVIES) => {
            let claims = state.authenticate(request.headers())?;
            let new = JsonBody::read(request).await?;
            let (status, Json(movie)) = movies::create_movie(Authenticated(claims), new).await;
            Ok(json(status, &movie))
        }
        (&Method::GET, routes::CATALOG) => {
            drop(request);
            let body = state.fetch_product().await?;
            Ok(json(StatusCode::OK, &catalog::decode_product(&body)?))
        }
        (&Method::GET, routes::USERS_ME) => {
            let claims = Authenticated(state.authenticate(request.headers())?);
            drop(request);
            let Json(profile) = users::get_me(claims, State(state)).await?;
            Ok(json(StatusCode::OK, &profile))
        }
        // Boxed: the other calls would carry it.
        _ => Ok(Box::pin(router.oneshot(request)).await.into_response()),
    }
}

fn json(status: StatusCode, value: &impl Serialize) -> Response {
    let mut text = Vec::with_capacity(JSON_CAPACITY);
    if let Err(error) = serde_json::to_writer(&mut text, value) {
        return Error::from(ErrorCode::Internal)
            .because(error)
            .into_response();
    }
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    let content_type = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panic_in_a_handler_is_an_internal_error() {
        let response = response(Err(Box::new("on purpose")));
        assert_eq!(response.status(), ErrorCode::Internal.status());
    }
}
