//! A mutant: the real target, with a switch in front that may change what it is asked and what it
//! answers, or the bytes on the wire.

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use schema::{Claims, ErrorCode, env, fixtures};
use serve::{Background, Server, Worker};
use target_axum::{AppState, Config};
use tower::ServiceExt;

type Answer = Pin<Box<dyn Future<Output = Response<Body>> + Send>>;

type Switch = Arc<dyn Fn(Honest, Request<Body>) -> Answer + Send + Sync>;

/// A service that breaks one thing.
pub(crate) struct Mutant {
    /// Its name in this test.
    pub(crate) name: &'static str,
    /// The checks that it trips: slugs that it must, and patterns of those that it may.
    pub(crate) trips: &'static [&'static str],
    /// Variables that it is started with.
    pub(crate) variables: &'static [(&'static str, &'static str)],
    /// Whether checks that bring faults about are asked too; they wait for deadlines.
    pub(crate) faults: bool,
    /// Whether it needs a Postgres of its own, which can be stopped.
    pub(crate) own_postgres: bool,
    /// Requests on each of 100 connections where the checks ask for more, if not as many as usual.
    pub(crate) burst: Option<usize>,
    switch: Switch,
    /// Changes the bytes of every answer on the wire.
    pub(crate) wire: Option<fn(Vec<u8>) -> Vec<u8>>,
}

impl Mutant {
    /// Named, with the checks that it trips.
    pub(crate) fn new<F>(
        name: &'static str,
        trips: &'static [&'static str],
        switch: impl Fn(Honest, Request<Body>) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Response<Body>> + Send + 'static,
    {
        Self {
            name,
            trips,
            variables: &[],
            faults: false,
            own_postgres: false,
            burst: None,
            switch: Arc::new(move |honest, request| Box::pin(switch(honest, request))),
            wire: None,
        }
    }

    /// Changes the answers of success of this path, but those to `HEAD`.
    pub(crate) fn of_answer(
        name: &'static str,
        trips: &'static [&'static str],
        path: &'static str,
        change: fn(&mut Response<Bytes>),
    ) -> Self {
        Self::new(name, trips, move |honest, request| async move {
            let asked = request.uri().path() == path && request.method() != Method::HEAD;
            let answer = honest.answer(request).await;
            if asked && answer.status().is_success() {
                changed(answer, change).await
            } else {
                answer
            }
        })
    }

    /// Changes the text of the same answers.
    pub(crate) fn of_text(
        name: &'static str,
        trips: &'static [&'static str],
        path: &'static str,
        change: fn(&str) -> String,
    ) -> Self {
        Self::new(name, trips, move |honest, request| async move {
            let asked = request.uri().path() == path && request.method() != Method::HEAD;
            let answer = honest.answer(request).await;
            if !asked || !answer.status().is_success() {
                return answer;
            }
            changed(answer, |answer| {
                let text = String::from_utf8(answer.body().to_vec()).unwrap();
                *answer.body_mut() = change(&text).into();
            })
            .await
        })
    }

    /// The real target, started with this variable.
    pub(crate) fn of_variable(
        name: &'static str,
        trips: &'static [&'static str],
        variables: &'static [(&'static str, &'static str)],
    ) -> Self {
        let honest = async |honest: Honest, request| honest.answer(request).await;
        Self {
            variables,
            ..Self::new(name, trips, honest)
        }
    }

    /// Fails the first time that this path is asked for.
    pub(crate) fn of_first(
        name: &'static str,
        trips: &'static [&'static str],
        path: &'static str,
    ) -> Self {
        let is_first = Arc::new(AtomicBool::new(true));
        Self::new(name, trips, move |honest, request| {
            let fails = request.uri().path() == path && is_first.swap(false, Ordering::Relaxed);
            async move {
                match fails {
                    true => error(ErrorCode::Internal),
                    false => honest.answer(request).await,
                }
            }
        })
    }

    /// Mixes up the answers of this path when several are asked for at once: the first of all is
    /// answered again.
    pub(crate) fn of_mixing_up(
        name: &'static str,
        trips: &'static [&'static str],
        path: &'static str,
    ) -> Self {
        const SEVERAL: usize = 4;
        let in_flight = Arc::new(AtomicUsize::new(0));
        let kept = Arc::new(Mutex::new(Bytes::new()));
        Self::new(name, trips, move |honest, request| {
            let (in_flight, kept) = (Arc::clone(&in_flight), Arc::clone(&kept));
            async move {
                if request.uri().path() != path || request.method() != Method::GET {
                    return honest.answer(request).await;
                }
                let others = in_flight.fetch_add(1, Ordering::Relaxed);
                let answer = honest.answer(request).await;
                in_flight.fetch_sub(1, Ordering::Relaxed);
                if !answer.status().is_success() {
                    return answer;
                }
                changed(answer, |answer| {
                    let mut kept = kept.lock().unwrap();
                    if others > SEVERAL {
                        *answer.body_mut() = kept.clone();
                    } else if kept.is_empty() {
                        *kept = answer.body().clone();
                    }
                })
                .await
            }
        })
    }

    /// With so many requests on each of 100 connections where the checks ask for more.
    pub(crate) fn with_burst(self, burst: usize) -> Self {
        Self {
            burst: Some(burst),
            ..self
        }
    }

    /// Is asked what brings faults about, too.
    pub(crate) fn with_faults(self) -> Self {
        Self {
            faults: true,
            ..self
        }
    }

    /// Has a Postgres that can be stopped, and is asked what brings faults about.
    pub(crate) fn with_own_postgres(self) -> Self {
        Self {
            own_postgres: true,
            ..self.with_faults()
        }
    }

    /// With the bytes of every answer changed on the wire.
    pub(crate) fn on_the_wire(self, wire: fn(Vec<u8>) -> Vec<u8>) -> Self {
        Self {
            wire: Some(wire),
            ..self
        }
    }

    /// Starts it with these surroundings.
    pub(crate) fn start(
        &self,
        upstream: SocketAddr,
        postgres_port: u16,
        database: &str,
    ) -> Background {
        let config = Config::read(|name| {
            let own = self.variables.iter().find(|(known, _)| *known == name);
            let value = match name {
                _ if own.is_some() => own.unwrap().1.to_owned(),
                "UPSTREAM_URL" => format!("http://{upstream}"),
                "DB_HOST" => "127.0.0.1".to_owned(),
                "DB_PORT" => postgres_port.to_string(),
                "DB_NAME" => database.to_owned(),
                // Several mutants share a Postgres.
                "DB_POOL_SIZE" => "8".to_owned(),
                _ => return env::bench_lookup(name),
            };
            Some(value.into())
        })
        .unwrap();
        let switch = Arc::clone(&self.switch);
        let database = database.to_owned();
        let make_service = move |worker: Worker| {
            let switch = Arc::clone(&switch);
            let router = AppState::new(&config, worker).map(target_axum::router)?;
            let honest = Honest {
                router,
                upstream,
                postgres: (Ipv4Addr::LOCALHOST, postgres_port).into(),
                database: database.clone(),
            };
            Ok(tower::service_fn(move |request: Request<Incoming>| {
                let answer = switch(honest.clone(), request.map(Body::new));
                async move { Ok::<_, std::convert::Infallible>(answer.await) }
            }))
        };
        let listener = serve::bind(Ipv4Addr::LOCALHOST.into(), 0).unwrap();
        let server = Server::new(NonZeroUsize::MIN);
        server.spawn(listener, make_service).unwrap()
    }
}

/// The real target.
#[derive(Clone)]
pub(crate) struct Honest {
    router: Router,
    /// Where its upstream is, for a mutant that calls it itself.
    pub(crate) upstream: SocketAddr,
    /// Where its Postgres is, for a mutant that looks whether it is there.
    pub(crate) postgres: SocketAddr,
    /// The name of its database.
    pub(crate) database: String,
}

impl Honest {
    /// What it answers.
    pub(crate) async fn answer(&self, request: Request<Body>) -> Response<Body> {
        self.router.clone().oneshot(request).await.unwrap()
    }

    /// What it answers to the same request with this token instead of its own.
    pub(crate) async fn answer_as(
        &self,
        mut request: Request<Body>,
        claims: &Claims,
    ) -> Response<Body> {
        let token = testbed::token::sign(claims, env::bench_value(&env::JWT_SECRET));
        let value = HeaderValue::from_str(&format!("Bearer {token}")).unwrap();
        request.headers_mut().insert(AUTHORIZATION, value);
        self.answer(request).await
    }

    /// What it answers to the same request with k6's token.
    pub(crate) async fn answer_as_k6(&self, request: Request<Body>) -> Response<Body> {
        self.answer_as(request, &fixtures::claims()).await
    }
}

/// The answer with its status, headers and whole body changed.
pub(crate) async fn changed(
    answer: Response<Body>,
    change: impl FnOnce(&mut Response<Bytes>),
) -> Response<Body> {
    let (mut parts, body) = answer.into_parts();
    parts.headers.remove("content-length");
    let body = body.collect().await.unwrap().to_bytes();
    let mut answer = Response::from_parts(parts, body);
    change(&mut answer);
    answer.map(Body::from)
}

/// The contract's error.
pub(crate) fn error(code: ErrorCode) -> Response<Body> {
    let mut response = Response::new(Body::from(code.body().to_json()));
    *response.status_mut() = StatusCode::from_u16(code.status()).unwrap();
    let headers = response.headers_mut();
    headers.insert("content-type", HeaderValue::from_static("application/json"));
    match code.status() {
        401 => drop(headers.insert("www-authenticate", HeaderValue::from_static("Bearer"))),
        503 => drop(headers.insert("retry-after", HeaderValue::from_static("1"))),
        _ => {}
    }
    response
}

/// An answer of JSON.
pub(crate) fn json(status: u16, text: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(text.into());
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    let headers = response.headers_mut();
    headers.insert("content-type", HeaderValue::from_static("application/json"));
    response
}
