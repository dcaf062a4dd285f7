//! The upstream's three routes. A hand-written match on purpose: two paths and a prefix need no
//! router, and what the upstream saves per request is the generator's and the contender's.

use std::sync::Arc;

use http::{Method, Request, Response};
use schema::fault::Fault;
use schema::{ErrorCode, routes};
use subtle::ConstantTimeEq;
use tower::Service;

use crate::answer::{self, Body};
use crate::{Config, fault};

/// The connection is reset instead of an answer: the fault of that name.
#[derive(Debug, thiserror::Error)]
#[error("connection reset on demand")]
pub struct Reset;

/// The upstream as a service, whatever the request's body.
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
        let action = upstream.route(&request);
        async move {
            match action {
                Action::Answer(response) => Ok(response),
                Action::Fault(fault) => fault::answer(fault).await,
            }
        }
    })
}

struct Upstream {
    api_key: Box<[u8]>,
    faults: bool,
}

enum Action {
    Answer(Response<Body>),
    Fault(Fault),
}

impl Upstream {
    fn route<B>(&self, request: &Request<B>) -> Action {
        let path = request.uri().path();
        let fault = self.fault(path);
        let known = path == routes::UPSTREAM_DATA || path == routes::HEALTH || fault.is_some();
        Action::Answer(if !known {
            answer::error(ErrorCode::NotFound)
        } else if !matches!(*request.method(), Method::GET | Method::HEAD) {
            answer::error(ErrorCode::MethodNotAllowed)
        } else if path == routes::HEALTH {
            answer::health()
        } else if !self.knows_key(request) {
            answer::error(ErrorCode::InvalidApiKey)
        } else if let Some(fault) = fault {
            return Action::Fault(fault);
        } else {
            answer::product()
        })
    }

    fn fault(&self, path: &str) -> Option<Fault> {
        if !self.faults {
            return None;
        }
        let name = path
            .strip_prefix(routes::UPSTREAM_FAULTS)?
            .strip_suffix(routes::UPSTREAM_DATA)?;
        Fault::parse(name)
    }

    /// Compares in constant time; only the key's length can be measured.
    fn knows_key<B>(&self, request: &Request<B>) -> bool {
        serve::bearer(request.headers())
            .is_some_and(|key| key.as_bytes().ct_eq(&self.api_key).into())
    }
}
