//! The service that a server runs, and the checks around it on each connection.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONNECTION, EXPECT};
use http::{HeaderValue, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::{Either, Empty};
use hyper::body::Incoming;
use tower::{BoxError, Service, ServiceExt};

use crate::body::RequestBody;
use crate::head;
use crate::state::ConnectionState;

/// A tower service over HTTP, cloned for every request. An error that it returns resets the connection. Every
/// fitting service implements it, an axum router too.
pub trait HttpService:
    Service<
        Request<RequestBody>,
        Response = Response<Self::ResponseBody>,
        Error: Into<BoxError>,
        Future: Send,
    > + Clone
    + Send
    + 'static
{
    /// The body of its responses.
    type ResponseBody: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static;
}

impl<S, B> HttpService for S
where
    S: Service<Request<RequestBody>, Response = Response<B>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    type ResponseBody = B;
}

/// Wraps `service` for one connection: refuses invalid heads, announces the close of the connection, and records
/// requests and failures in `state`.
pub(crate) fn for_connection<S: HttpService>(
    service: S,
    state: Arc<ConnectionState>,
) -> impl hyper::service::Service<
    Request<Incoming>,
    Response = Response<Either<Empty<Bytes>, S::ResponseBody>>,
    Error = S::Error,
    Future: Send,
> {
    hyper::service::service_fn(move |request: Request<Incoming>| {
        let response = head::is_valid(&request).then(|| {
            let has_body = !request.body().is_end_stream();
            state.begin_request(has_body && request.headers().contains_key(EXPECT));
            let request = request.map(|body| RequestBody::new(body, &state));
            service.clone().oneshot(request)
        });
        let state = Arc::clone(&state);
        async move {
            let Some(response) = response else {
                return Ok(bad_request().map(Either::Left));
            };
            let response = response.await;
            state.end_request();
            let Ok(mut response) = response else {
                state.set_failed();
                return response.map(|response| response.map(Either::Right));
            };
            // The rest of a late body is not waited for (RFC 9110, 15.5.9).
            let is_late = response.status() == StatusCode::REQUEST_TIMEOUT;
            if is_late || state.closes() {
                announce_close(&mut response);
            }
            Ok(response.map(Either::Right))
        }
    })
}

/// Returns the answer to an invalid head: 400 without a body.
fn bad_request() -> Response<Empty<Bytes>> {
    let mut response = Response::new(Empty::new());
    *response.status_mut() = StatusCode::BAD_REQUEST;
    announce_close(&mut response);
    response
}

/// Lets hyper close the connection after the response (RFC 9112, 9.6).
fn announce_close<B>(response: &mut Response<B>) {
    let close = HeaderValue::from_static("close");
    response.headers_mut().insert(CONNECTION, close);
}
