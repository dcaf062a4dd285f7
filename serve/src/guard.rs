//! What stands between hyper and a connection's service: unsound heads are refused, and the
//! connection's other parts are told what the service does.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{Either, Empty};
use hyper::body::Incoming;
use hyper::service::Service;
use pin_project_lite::pin_project;
use tower::ServiceExt;
use tower::util::Oneshot;

use crate::HttpService;
use crate::head;
use crate::pulse::Pulse;

/// A service for one connection.
pub(crate) struct Guarded<S> {
    service: S,
    pulse: Arc<Pulse>,
}

impl<S> Guarded<S> {
    pub(crate) fn new(service: S, pulse: Arc<Pulse>) -> Self {
        Self { service, pulse }
    }
}

impl<S: HttpService> Service<Request<Incoming>> for Guarded<S> {
    type Response = Response<Either<Empty<Bytes>, S::ResponseBody>>;
    type Error = S::Error;
    type Future = Answer<S>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let answer = head::is_sound(&request).then(|| {
            self.pulse.begin();
            self.service.clone().oneshot(request)
        });
        Answer {
            answer,
            pulse: Arc::clone(&self.pulse),
        }
    }
}

pin_project! {
    /// The answer to one request. Written by hand: an `async` block copies what it captures once more
    /// before it first runs, the request among it.
    pub(crate) struct Answer<S: HttpService> {
        // None for an unsound head.
        #[pin]
        answer: Option<Oneshot<S, Request<Incoming>>>,
        pulse: Arc<Pulse>,
    }
}

impl<S: HttpService> Future for Answer<S> {
    type Output = Result<<Guarded<S> as Service<Request<Incoming>>>::Response, S::Error>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Some(answer) = this.answer.as_pin_mut() else {
            return Poll::Ready(Ok(head::bad_request().map(Either::Left)));
        };
        let answer = ready!(answer.poll(context));
        this.pulse.end();
        if answer.is_err() {
            this.pulse.fail();
        }
        Poll::Ready(answer.map(|answer| answer.map(Either::Right)))
    }
}
