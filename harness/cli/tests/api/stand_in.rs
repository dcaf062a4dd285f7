//! Stand-ins for the two services: this test executable, started by a shell script that takes the
//! service's place.

use std::convert::Infallible;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::num::NonZeroUsize;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use std::{env, fs, thread};

use axum::body::{Body, Bytes};
use axum::http::{Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serve::Server;
use target_axum::{AppState, Config};
use tower::ServiceExt;

use crate::hollow;

/// Where `flooding` says how much it has written.
pub(crate) const FLOODED: &str = "flooded";

/// What the executable is to be: set by the scripts only.
const STAND_IN: &str = "STAND_IN";

/// The script for one of `upstream`, `target`, `never-ready`, `hollow`, `honest`, `mixing-up`,
/// `dying`, `flooding` and `honest-upstream`.
pub(crate) fn script(role: &str) -> String {
    let this = env::current_exe().unwrap();
    format!(
        "{STAND_IN}={role} exec '{}' --exact stand_in::serves_what_a_service_does --nocapture",
        this.display()
    )
}

/// A service when a script says so, else nothing.
#[test]
fn serves_what_a_service_does() {
    let Ok(role) = env::var(STAND_IN) else { return };
    let port: u16 = env::var("PORT").unwrap().parse().unwrap();
    let listener = TcpListener::bind((env::var("HOST").unwrap(), port)).unwrap();
    match &*role {
        "hollow" => return hollow::serve(&listener),
        "honest" => return serve_honestly(listener),
        "mixing-up" => return serve_changed(listener, mix_up),
        "dying" => return serve_changed(listener, die),
        "honest-upstream" => return serve_product(listener),
        "flooding" => {
            thread::spawn(flood);
            return serve_honestly(listener);
        }
        _ => {}
    }
    for stream in listener.incoming() {
        let stream = stream.unwrap();
        // The whole head: what is closed with bytes unread is reset, and its answer may be lost.
        let lines = BufReader::new(&stream).lines().map_while(Result::ok);
        let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
        let path = head.first().and_then(|line| line.split(' ').nth(1));
        let (status, body) = match path.unwrap_or_default() {
            "/health" => ("200 OK", "ok".to_owned()),
            "/ready" if role == "never-ready" => ("503 Service Unavailable", "tired".to_owned()),
            "/ready" => match missing() {
                None => ("200 OK", "ok".to_owned()),
                Some(name) => ("503 Service Unavailable", name),
            },
            "/environment" => ("200 OK", environment()),
            _ => ("404 Not Found", String::new()),
        };
        let length = body.len();
        // A caller that is gone already is no concern of the next one.
        let _ = write!(
            &stream,
            "HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\n{body}"
        );
    }
}

/// The real target, in this executable.
fn serve_honestly(listener: TcpListener) {
    let config = Config::read(|name| env::var_os(name)).unwrap();
    let server = Server::new(NonZeroUsize::MIN);
    let make_service = move |worker| AppState::new(&config, worker).map(target_axum::service);
    server
        .run(listener, make_service, std::future::pending())
        .unwrap();
}

/// The real upstream, in this executable.
fn serve_product(listener: TcpListener) {
    let config = upstream::Config::read(|name| env::var_os(name)).unwrap();
    let server = Server::new(NonZeroUsize::MIN);
    let make_service = move |_| Ok(upstream::service(&config));
    server
        .run(listener, make_service, std::future::pending())
        .unwrap();
}

/// The real target, with this done to the body of every profile.
fn serve_changed(listener: TcpListener, change: fn(Bytes) -> Bytes) {
    let config = Config::read(|name| env::var_os(name)).unwrap();
    let server = Server::new(NonZeroUsize::MIN);
    let make_service = move |worker| {
        let router = AppState::new(&config, worker).map(target_axum::router)?;
        Ok(tower::service_fn(move |request: Request<Incoming>| {
            let is_of_user = request.uri().path() == schema::routes::USERS_ME;
            let answer = router.clone().oneshot(request.map(Body::new));
            async move {
                let answer = answer.await?;
                if !is_of_user {
                    return Ok(answer);
                }
                let (mut parts, body) = answer.into_parts();
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

/// The body before this one.
fn mix_up(body: Bytes) -> Bytes {
    static LAST: Mutex<Bytes> = Mutex::new(Bytes::new());
    let last = std::mem::replace(&mut *LAST.lock().unwrap(), body.clone());
    if last.is_empty() { body } else { last }
}

/// Ends the process when it has served for a while.
fn die(body: Bytes) -> Bytes {
    static SERVED: AtomicUsize = AtomicUsize::new(0);
    if SERVED.fetch_add(1, Ordering::Relaxed) == 60 {
        std::process::exit(3);
    }
    body
}

/// Fills the log, and says in the present folder how many MiB it has written.
fn flood() {
    let line = [b'x'; 1023].into_iter().chain([b'\n']);
    let lines: Vec<u8> = line.cycle().take(1 << 20).collect();
    for mib in 1_u32.. {
        io::stderr().write_all(&lines).unwrap();
        fs::write(FLOODED, mib.to_string()).unwrap();
        thread::sleep(Duration::from_millis(5));
    }
}

/// The first of the target's neighbours that takes no connection.
fn missing() -> Option<String> {
    let variable = |name| env::var(name).unwrap();
    let upstream = variable("UPSTREAM_URL").replace("http://", "");
    let postgres = format!("{}:{}", variable("DB_HOST"), variable("DB_PORT"));
    [upstream, postgres]
        .into_iter()
        .find(|address| TcpStream::connect(address).is_err())
}

fn environment() -> String {
    let lines = env::vars().map(|(name, value)| format!("{name}={value}\n"));
    lines.collect()
}
