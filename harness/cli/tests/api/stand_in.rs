//! Services and contenders of the tests: this test executable, started by a shell script.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io::{self, Write};
use std::net::TcpListener;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use std::{env, fs, thread};

use axum::body::{Body, Bytes};
use axum::http::response::Parts;
use axum::http::{Request, Response};
use http_body_util::{BodyExt, Collected};
use serde_json::Value;
use serve::{RequestBody, Server};
use target_axum::{AppState, Config};
use tower::ServiceExt;
use uuid::Uuid;

use crate::server;

/// File into which `flooding` writes how many MiB it has logged.
pub(crate) const FLOODED: &str = "flooded";

/// Set by the scripts only: the role of the executable.
const STAND_IN: &str = "STAND_IN";

/// Returns the script of a role: `target`, `upstream`, `hollow` or one of the broken targets.
pub(crate) fn script(role: &str) -> String {
    let this = env::current_exe().unwrap();
    format!(
        "{STAND_IN}={role} exec '{}' --exact stand_in::serves_if_started_by_a_script --nocapture",
        this.display()
    )
}

#[test]
fn serves_if_started_by_a_script() {
    let Ok(role) = env::var(STAND_IN) else { return };
    let port: u16 = env::var("PORT").unwrap().parse().unwrap();
    let listener = TcpListener::bind((env::var("HOST").unwrap(), port)).unwrap();
    match &*role {
        "hollow" => server::serve(&listener),
        "upstream" => serve_upstream(listener),
        "mixing-up" => serve_target(listener, Some(mix_up)),
        "dying" => serve_target(listener, Some(die)),
        "working" => serve_working(listener, false),
        "remembering" => serve_working(listener, true),
        "flooding" => {
            thread::spawn(flood);
            serve_target(listener, None);
        }
        _ => serve_target(listener, None),
    }
}

fn serve_upstream(listener: TcpListener) {
    let config = upstream::Config::read(|name| env::var_os(name)).unwrap();
    let make_service = move |_| Ok(upstream::service(&config));
    let server = Server::new(NonZeroUsize::MIN);
    server
        .run(listener, make_service, std::future::pending())
        .unwrap();
}

/// Serves the target; `change` changes the body of every user's profile.
fn serve_target(listener: TcpListener, change: Option<fn(Bytes) -> Bytes>) {
    let config = Config::read(|name| env::var_os(name)).unwrap();
    let server = Server::new(NonZeroUsize::MIN);
    let Some(change) = change else {
        let make_service = move |worker| AppState::new(&config, worker).map(target_axum::service);
        server
            .run(listener, make_service, std::future::pending())
            .unwrap();
        return;
    };
    let make_service = move |worker| {
        let router = AppState::new(&config, worker).map(target_axum::router)?;
        Ok(tower::service_fn(move |request: Request<RequestBody>| {
            let is_profile = request.uri().path() == schema::routes::USERS_ME;
            let response = router.clone().oneshot(request.map(Body::new));
            async move {
                let response = response.await?;
                if !is_profile {
                    return Ok(response);
                }
                let (mut parts, body) = response.into_parts();
                parts.headers.remove("content-length");
                let body = body.collect().await.unwrap().to_bytes();
                Ok::<_, Infallible>(Response::from_parts(parts, Body::from(change(body))))
            }
        }))
    };
    server
        .run(listener, make_service, std::future::pending())
        .unwrap();
}

/// How often a request has come, and its answer.
type Remembered = (u32, Parts, Bytes);

/// Serves the target with more work for each new movie. One that `remembers` answers a request that
/// has come ten times from its memory, with a fresh id, so that the checks do not notice it.
fn serve_working(listener: TcpListener, remembers: bool) {
    let config = Config::read(|name| env::var_os(name)).unwrap();
    let make_service = move |worker| {
        let router = AppState::new(&config, worker).map(target_axum::router)?;
        let memory = Arc::new(Mutex::new(HashMap::<Vec<u8>, Remembered>::new()));
        Ok(tower::service_fn(move |request: Request<RequestBody>| {
            let (router, memory) = (router.clone(), Arc::clone(&memory));
            async move {
                let (head, body) = request.into_parts();
                let body = body
                    .collect()
                    .await
                    .map(Collected::to_bytes)
                    .unwrap_or_default();
                let token = head.headers.get("authorization").cloned();
                let Some(token) = token.filter(|_| head.uri.path() == schema::routes::MOVIES)
                else {
                    let request = Request::from_parts(head, Body::from(body));
                    return router.oneshot(request).await;
                };
                let key = [token.as_bytes(), &body].concat();
                if let Some((count, head, body)) = memory.lock().unwrap().get_mut(&key) {
                    *count += 1;
                    if remembers && *count > 10 && head.status == 201 {
                        let mut movie: Value = serde_json::from_slice(body).unwrap();
                        movie["id"] = Uuid::new_v4().to_string().into();
                        let mut head = head.clone();
                        head.headers.remove("content-length");
                        return Ok(Response::from_parts(head, Body::from(movie.to_string())));
                    }
                }
                work();
                let request = Request::from_parts(head, Body::from(body));
                let (head, body) = router.oneshot(request).await?.into_parts();
                let body = body
                    .collect()
                    .await
                    .map(Collected::to_bytes)
                    .unwrap_or_default();
                let mut memory = memory.lock().unwrap();
                memory
                    .entry(key)
                    .or_insert_with(|| (1, head.clone(), body.clone()));
                Ok::<_, Infallible>(Response::from_parts(head, Body::from(body)))
            }
        }))
    };
    let server = Server::new(NonZeroUsize::MIN);
    server
        .run(listener, make_service, std::future::pending())
        .unwrap();
}

/// Takes a few hundred microseconds of CPU time.
fn work() {
    for number in 0..1_000_000 {
        std::hint::black_box(number);
    }
}

/// Returns the previous body.
fn mix_up(body: Bytes) -> Bytes {
    static LAST: Mutex<Bytes> = Mutex::new(Bytes::new());
    let last = std::mem::replace(&mut *LAST.lock().unwrap(), body.clone());
    if last.is_empty() { body } else { last }
}

/// Ends the process at the 61st request.
fn die(body: Bytes) -> Bytes {
    static SERVED: AtomicUsize = AtomicUsize::new(0);
    if SERVED.fetch_add(1, Ordering::Relaxed) == 60 {
        std::process::exit(3);
    }
    body
}

/// Writes to the log without end.
fn flood() {
    let line = [b'x'; 1023].into_iter().chain([b'\n']);
    let lines: Vec<u8> = line.cycle().take(1 << 20).collect();
    for mib in 1_u32.. {
        io::stderr().write_all(&lines).unwrap();
        fs::write(FLOODED, mib.to_string()).unwrap();
        thread::sleep(Duration::from_millis(5));
    }
}
