//! The service that a server runs, and the checks around it on each connection.

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::{Either, Empty};
use hyper::body::Incoming;
use tower::{BoxError, Service, ServiceExt};

use crate::head;
use crate::state::ConnectionState;

/// A tower service over HTTP, cloned for every request. An error that it returns resets the connection. Every
/// fitting service implements it, an axum router too.
pub trait HttpService:
    Service<
        Request<Incoming>,
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
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    type ResponseBody = B;
}

/// Wraps `service` for one connection: refuses invalid heads, and records requests and failures in `state`.
pub(crate) fn for_connection<S: HttpService>(
    service: S,
    state: Arc<ConnectionState>,
) -> impl hyper::service::Service<
    Request<Incoming>,
    Response = Response<Either<Empty<Bytes>, S::ResponseBody>>,
    Error = S::Error,
    Future: Send,
> {
    hyper::service::service_fn(move |request| {
        let response = head::is_valid(&request).then(|| {
            state.begin_request();
            service.clone().oneshot(request)
        });
        let state = Arc::clone(&state);
        async move {
            let Some(response) = response else {
                return Ok(head::bad_request().map(Either::Left));
            };
            let response = response.await;
            state.end_request();
            if response.is_err() {
                state.set_failed();
            }
            response.map(|response| response.map(Either::Right))
        }
    })
}
