//! A mutant: the real target behind a switch that breaks one thing, in the requests, in the
//! responses, or in the bytes on the wire.

use std::collections::HashMap;
use std::future::Future;
use std::hash::Hash;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use schema::{Claims, ErrorCode, env, fixtures};
use serve::{Background, RequestBody, Server, Worker};
use target_axum::{AppState, Config};
use tower::ServiceExt;

use crate::wire::Wire;

type ResponseFuture = Pin<Box<dyn Future<Output = Response<Body>> + Send>>;

type Switch = Arc<dyn Fn(Target, Request<Body>) -> ResponseFuture + Send + Sync>;

/// A service that breaks one thing.
pub(crate) struct Mutant {
    /// The name in this test.
    pub(crate) name: String,
    /// The checks that fail, separated by spaces: slugs, and patterns that fit at least one failure.
    pub(crate) trips: String,
    /// Environment variables of the target.
    variables: &'static [(&'static str, &'static str)],
    /// Runs the checks that cause faults too; they wait for deadlines.
    pub(crate) faults: bool,
    /// Needs a Postgres of its own, which can be stopped.
    pub(crate) own_postgres: bool,
    /// Requests per connection in a check's burst, if not the default.
    pub(crate) burst: Option<usize>,
    /// Changes bytes on the wire.
    pub(crate) wire: Option<Wire>,
    switch: Switch,
}

impl Mutant {
    /// Creates a mutant that responds through `switch`.
    pub(crate) fn new<F>(
        name: impl Into<String>,
        trips: impl Into<String>,
        switch: impl Fn(Target, Request<Body>) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Response<Body>> + Send + 'static,
    {
        Self {
            name: name.into(),
            trips: trips.into(),
            variables: &[],
            faults: false,
            own_postgres: false,
            burst: None,
            wire: None,
            switch: Arc::new(move |target, request| Box::pin(switch(target, request))),
        }
    }

    /// Creates a mutant that responds as the target does.
    pub(crate) fn honest(name: &str, trips: &str) -> Self {
        Self::new(name, trips, async |target: Target, request| {
            target.respond(request).await
        })
    }

    /// Creates a mutant that changes the target's responses which `selects` selects.
    pub(crate) fn change(
        name: &str,
        trips: &str,
        selects: impl Fn(&Parts, StatusCode) -> bool + Send + Sync + 'static,
        change: impl Fn(&Parts, &mut Response<Bytes>) + Send + Sync + 'static,
    ) -> Self {
        let functions = Arc::new((selects, change));
        Self::new(name, trips, move |target, request| {
            let functions = Arc::clone(&functions);
            async move {
                let (selects, change) = &*functions;
                let (parts, body) = request.into_parts();
                let request = Request::from_parts(parts.clone(), body);
                let response = target.respond(request).await;
                match selects(&parts, response.status()) {
                    true => changed(response, |response| change(&parts, response)).await,
                    false => response,
                }
            }
        })
    }

    /// Creates a mutant that changes requests before the target reads them.
    pub(crate) fn rewrite(name: &str, trips: &str, change: fn(&mut Request<Body>)) -> Self {
        Self::new(name, trips, move |target, mut request| async move {
            change(&mut request);
            target.respond(request).await
        })
    }

    /// Creates a mutant that responds in place of the target wherever `respond` returns a response.
    pub(crate) fn instead(
        name: &str,
        trips: &str,
        respond: impl Fn(&Request<Body>) -> Option<Response<Body>> + Send + Sync + 'static,
    ) -> Self {
        Self::new(name, trips, move |target, request| {
            let response = respond(&request);
            async move {
                match response {
                    Some(response) => response,
                    None => target.respond(request).await,
                }
            }
        })
    }

    /// Creates a mutant that sends every request of a path to the target twice.
    pub(crate) fn twice(name: &str, trips: &str, path: &'static str) -> Self {
        Self::new(name, trips, move |target, request| async move {
            if request.uri().path() == path {
                target.respond(without_body(&request)).await;
            }
            target.respond(request).await
        })
    }

    /// Creates a mutant whose first response on a path is 500.
    pub(crate) fn first_fails(name: &str, trips: &str, path: &'static str) -> Self {
        let is_first = AtomicBool::new(true);
        Self::instead(name, trips, move |request| {
            let fails = request.uri().path() == path && is_first.swap(false, Ordering::Relaxed);
            fails.then(|| error(ErrorCode::Internal))
        })
    }

    /// Creates a mutant that responds with its first body of a path wherever many requests of the
    /// path are in flight.
    pub(crate) fn mixes_up(name: &str, trips: &str, path: &'static str) -> Self {
        const MANY: usize = 4;
        let state = Arc::new((AtomicUsize::new(0), Mutex::new(Bytes::new())));
        Self::new(name, trips, move |target, request| {
            let state = Arc::clone(&state);
            async move {
                if request.uri().path() != path || request.method() != Method::GET {
                    return target.respond(request).await;
                }
                let (in_flight, first) = &*state;
                let others = in_flight.fetch_add(1, Ordering::Relaxed);
                let response = target.respond(request).await;
                in_flight.fetch_sub(1, Ordering::Relaxed);
                if !response.status().is_success() {
                    return response;
                }
                changed(response, |response| {
                    let mut first = first.lock().unwrap();
                    if others > MANY {
                        *response.body_mut() = first.clone();
                    } else if first.is_empty() {
                        *first = response.body().clone();
                    }
                })
                .await
            }
        })
    }

    pub(crate) fn with_variables(self, variables: &'static [(&'static str, &'static str)]) -> Self {
        Self { variables, ..self }
    }

    pub(crate) fn with_burst(self, burst: usize) -> Self {
        let burst = Some(burst);
        Self { burst, ..self }
    }

    pub(crate) fn with_faults(self) -> Self {
        let faults = true;
        Self { faults, ..self }
    }

    pub(crate) fn with_own_postgres(self) -> Self {
        let own_postgres = true;
        Self {
            own_postgres,
            ..self
        }
    }

    /// Changes the bytes of every response.
    pub(crate) fn on_the_wire(self, response: fn(Vec<u8>) -> Vec<u8>) -> Self {
        let wire = Some(Wire {
            response,
            ..Wire::HONEST
        });
        Self { wire, ..self }
    }

    /// Forwards only so many of the bytes that a read returns, and closes the connection after fewer.
    pub(crate) fn on_each_read(self, request: fn(&[u8]) -> usize) -> Self {
        let wire = Some(Wire {
            request,
            ..Wire::HONEST
        });
        Self { wire, ..self }
    }

    /// Starts the mutant with its upstream and its database.
    pub(crate) fn start(
        &self,
        upstream: SocketAddr,
        postgres_port: u16,
        database: &str,
    ) -> Background {
        let config = Config::read(|name| {
            let own = self.variables.iter().find(|(known, _)| *known == name);
            let value = match (name, own) {
                (_, Some((_, value))) => (*value).to_owned(),
                ("UPSTREAM_URL", _) => format!("http://{upstream}"),
                ("DB_HOST", _) => "127.0.0.1".to_owned(),
                ("DB_PORT", _) => postgres_port.to_string(),
                ("DB_NAME", _) => database.to_owned(),
                // Several mutants share a Postgres.
                ("DB_POOL_SIZE", _) => "8".to_owned(),
                _ => return env::bench_lookup(name),
            };
            Some(value.into())
        })
        .unwrap();
        let switch = Arc::clone(&self.switch);
        let database = database.to_owned();
        let make_service = move |worker: Worker| {
            let switch = Arc::clone(&switch);
            let target = Target {
                router: AppState::new(&config, worker).map(target_axum::router)?,
                upstream,
                postgres: (Ipv4Addr::LOCALHOST, postgres_port).into(),
                database: database.clone(),
            };
            Ok(tower::service_fn(move |request: Request<RequestBody>| {
                let response = switch(target.clone(), request.map(Body::new));
                async move { Ok::<_, std::convert::Infallible>(response.await) }
            }))
        };
        let listener = serve::bind(Ipv4Addr::LOCALHOST.into(), 0).unwrap();
        let server = Server::new(NonZeroUsize::MIN);
        server.spawn(listener, make_service).unwrap()
    }
}

/// The real target and its environment.
#[derive(Clone)]
pub(crate) struct Target {
    router: Router,
    pub(crate) upstream: SocketAddr,
    pub(crate) postgres: SocketAddr,
    /// The name of the database.
    pub(crate) database: String,
}

impl Target {
    pub(crate) async fn respond(&self, request: Request<Body>) -> Response<Body> {
        self.router.clone().oneshot(request).await.unwrap()
    }

    /// Responds to the request as if its token were one with these claims.
    pub(crate) async fn respond_as(
        &self,
        mut request: Request<Body>,
        claims: &Claims,
    ) -> Response<Body> {
        let token = testbed::token::sign(claims, env::bench_value(&env::JWT_SECRET));
        let value = HeaderValue::from_str(&format!("Bearer {token}")).unwrap();
        request.headers_mut().insert(AUTHORIZATION, value);
        self.respond(request).await
    }

    /// Responds to the request as if its token were k6's.
    pub(crate) async fn respond_as_k6(&self, request: Request<Body>) -> Response<Body> {
        self.respond_as(request, &fixtures::claims()).await
    }
}

/// Selects the successful responses of a path, except those to `HEAD`.
pub(crate) fn success(path: &'static str) -> impl Fn(&Parts, StatusCode) -> bool {
    move |sent, status| {
        sent.uri.path() == path && sent.method != Method::HEAD && status.is_success()
    }
}

/// Selects the responses of a path with a status.
pub(crate) fn status(path: &'static str, code: ErrorCode) -> impl Fn(&Parts, StatusCode) -> bool {
    move |sent, status| sent.uri.path() == path && status.as_u16() == code.status()
}

/// Selects the responses to `HEAD` of a path.
pub(crate) fn head(path: &'static str) -> impl Fn(&Parts, StatusCode) -> bool {
    move |sent, _| sent.uri.path() == path && sent.method == Method::HEAD
}

/// Changes the status of responses.
pub(crate) fn set_status(status: u16) -> impl Fn(&Parts, &mut Response<Bytes>) {
    move |_, response| *response.status_mut() = StatusCode::from_u16(status).unwrap()
}

/// Changes a header of responses.
pub(crate) fn set_header(
    name: HeaderName,
    value: &'static str,
) -> impl Fn(&Parts, &mut Response<Bytes>) {
    move |_, response| {
        let value = HeaderValue::from_static(value);
        response.headers_mut().insert(&name, value);
    }
}

/// Removes a header of responses.
pub(crate) fn remove_header(name: HeaderName) -> impl Fn(&Parts, &mut Response<Bytes>) {
    move |_, response| {
        response.headers_mut().remove(&name);
    }
}

/// Changes the text of responses.
pub(crate) fn text(change: fn(&str) -> String) -> impl Fn(&Parts, &mut Response<Bytes>) {
    move |_, response| {
        let text = std::str::from_utf8(response.body()).unwrap();
        *response.body_mut() = change(text).into();
    }
}

/// Replaces responses by the contract's error.
pub(crate) fn by_error(code: ErrorCode) -> impl Fn(&Parts, &mut Response<Bytes>) {
    move |_, response| *response = error(code)
}

/// Replaces the body of a response by the first body with the same key.
pub(crate) fn keep_first<K: Eq + Hash>(
    bodies: &Mutex<HashMap<K, Bytes>>,
    key: K,
    response: &mut Response<Bytes>,
) {
    let mut bodies = bodies.lock().unwrap();
    let first = bodies.entry(key).or_insert(response.body().clone());
    *response.body_mut() = first.clone();
}

/// Reads the whole body of a response and changes the response.
pub(crate) async fn changed(
    response: Response<Body>,
    change: impl FnOnce(&mut Response<Bytes>),
) -> Response<Body> {
    let (mut parts, body) = response.into_parts();
    parts.headers.remove("content-length");
    let body = body.collect().await.unwrap().to_bytes();
    let mut response = Response::from_parts(parts, body);
    change(&mut response);
    response.map(Body::from)
}

/// Copies a request without its body.
pub(crate) fn without_body(request: &Request<Body>) -> Request<Body> {
    let mut copy = Request::new(Body::empty());
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    copy
}

/// Creates the contract's error response.
pub(crate) fn error<B: From<String>>(code: ErrorCode) -> Response<B> {
    let mut response = json(code.status(), code.body().to_json());
    let (name, value) = match code.status() {
        401 => ("www-authenticate", "Bearer"),
        503 => ("retry-after", "1"),
        _ => return response,
    };
    let value = HeaderValue::from_static(value);
    response.headers_mut().insert(name, value);
    response
}

/// Creates a JSON response.
pub(crate) fn json<B>(status: u16, body: impl Into<B>) -> Response<B> {
    let mut response = Response::new(body.into());
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    let value = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, value);
    response
}
