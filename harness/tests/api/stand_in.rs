//! Stand-ins for the two services: this test executable, started by a shell script that takes the
//! service's place.

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::num::NonZeroUsize;

use serve::Server;
use target_axum::{AppState, Config};

use crate::hollow;

/// What the executable is to be: set by the scripts only.
const STAND_IN: &str = "STAND_IN";

/// The script for one of `upstream`, `target`, `never-ready`, `hollow` and `honest`.
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
    let make_service = move |worker| AppState::new(&config, worker).map(target_axum::router);
    server
        .run(listener, make_service, std::future::pending())
        .unwrap();
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
