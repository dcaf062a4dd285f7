//! The routes of the upstream: a match, because two paths and a prefix need no router, and CPU time of the
//! upstream is taken from the contender and the load generator.

use std::sync::Arc;

use http::{Method, Request, Response};
use schema::fault::Fault;
use schema::{ErrorCode, routes};
use subtle::ConstantTimeEq;
use tower::Service;

use crate::answer::{self, Body};
use crate::{Config, fault};

/// The service's error for the fault `reset`: the server resets the connection.
#[derive(Debug, thiserror::Error)]
#[error("connection reset on demand")]
pub struct Reset;

/// Creates the upstream's service, for requests with any body.
pub fn service<B: Send + 'static>(
    config: &Config,
) -> impl Service<Request<B>, Response = Response<Body>, Error = Reset, Future: Send>
+ Clone
+ Send
+ use<B> {
    let upstream = Arc::new(Upstream {
        api_key: config.api_key.as_bytes().into(),
        faults: config.faults,
    });
    tower::service_fn(move |request: Request<B>| {
        let route = upstream.route(&request);
        async move {
            match route {
                Route::Answer(response) => Ok(response),
                Route::Fault(fault) => fault::answer(fault).await,
            }
        }
    })
}

struct Upstream {
    api_key: Box<[u8]>,
    faults: bool,
}

enum Route {
    Answer(Response<Body>),
    Fault(Fault),
}

impl Upstream {
    fn route<B>(&self, request: &Request<B>) -> Route {
        let path = request.uri().path();
        let fault = self.fault(path);
        let known = path == routes::UPSTREAM_DATA || path == routes::HEALTH || fault.is_some();
        Route::Answer(if !known {
            answer::error(ErrorCode::NotFound)
        } else if !matches!(*request.method(), Method::GET | Method::HEAD) {
            answer::error(ErrorCode::MethodNotAllowed)
        } else if path == routes::HEALTH {
            answer::health()
        } else if !self.has_key(request) {
            answer::error(ErrorCode::InvalidApiKey)
        } else if let Some(fault) = fault {
            return Route::Fault(fault);
        } else {
            answer::product()
        })
    }

    fn fault(&self, path: &str) -> Option<Fault> {
        let name = path
            .strip_prefix(routes::UPSTREAM_FAULTS)?
            .strip_suffix(routes::UPSTREAM_DATA)?;
        Fault::parse(name).filter(|_| self.faults)
    }

    /// Compares in constant time; only the length of the key can be measured.
    fn has_key<B>(&self, request: &Request<B>) -> bool {
        serve::bearer(request.headers())
            .is_some_and(|key| key.as_bytes().ct_eq(&self.api_key).into())
    }
}
