//! Mutants of `GET /users/me` and `GET /ready` while Postgres fails.

use std::io::{ErrorKind, Read};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::{Response, StatusCode};
use schema::ErrorCode::{DatabaseUnavailable, Internal};
use schema::routes::{INFO, USERS_ME};
use sqlx::Connection;
use sqlx::postgres::{PgConnectOptions, PgConnection};

use super::is_ready_without;
use crate::mutant::{Mutant, Target, by_error, error, status};

pub(crate) fn mutants() -> Vec<Mutant> {
    let mutants = [
        Mutant::new(
            "waits-longer-for-a-lock",
            "users-me/503-locked",
            async |target: Target, request| {
                let is_users_me = request.uri().path() == USERS_ME;
                let response = target.respond(request).await;
                if is_users_me && is_unavailable(&response) {
                    tokio::time::sleep(Duration::from_secs(3)).await;
                }
                response
            },
        ),
        Mutant::change(
            "locked-is-500",
            "users-me/503-locked",
            status(USERS_ME, DatabaseUnavailable),
            by_error(Internal),
        ),
        fails_after_a_cut(),
    ];
    let with_own_postgres = [
        Mutant::new(
            "stopped-without-retry-after",
            "users-me/503-stopped",
            async |target: Target, request| {
                let is_users_me = request.uri().path() == USERS_ME;
                let mut response = target.respond(request).await;
                if is_users_me && is_unavailable(&response) && !is_listening(target.postgres) {
                    response.headers_mut().remove("retry-after");
                }
                response
            },
        ),
        Mutant::new(
            "stopped-stops-everything",
            "users-me/503-stopped",
            async |target: Target, request| match request.uri().path() {
                INFO if !is_listening(target.postgres) => error(DatabaseUnavailable),
                _ => target.respond(request).await,
            },
        ),
        fails_once_and_for_all(),
        fails_after_a_restart(),
        is_ready_without(
            "ready-without-postgres",
            "ready/503-database",
            DatabaseUnavailable,
        ),
    ];
    let with_own_postgres = with_own_postgres.map(Mutant::with_own_postgres);
    let mutants = mutants.into_iter().chain(with_own_postgres);
    mutants.map(Mutant::with_faults).collect()
}

fn is_unavailable(response: &Response<Body>) -> bool {
    response.status() == StatusCode::SERVICE_UNAVAILABLE
}

fn is_listening(postgres: SocketAddr) -> bool {
    TcpStream::connect(postgres).is_ok()
}

/// Fails every request after the first failure, in whatever check.
fn fails_once_and_for_all() -> Mutant {
    let is_broken = Arc::new(AtomicBool::new(false));
    Mutant::new(
        "fails-once-and-for-all",
        "users-me/503-locked users-me/503-stopped users-me/* */503-*",
        move |target, request| {
            let is_broken = Arc::clone(&is_broken);
            async move {
                if request.uri().path() != USERS_ME {
                    return target.respond(request).await;
                }
                if is_broken.load(Ordering::Relaxed) {
                    return error(DatabaseUnavailable);
                }
                let response = target.respond(request).await;
                is_broken.fetch_or(is_unavailable(&response), Ordering::Relaxed);
                response
            }
        },
    )
}

/// Holds a connection that never logs in, so that only the end of the server ends it.
fn fails_after_a_restart() -> Mutant {
    let held = Arc::new(Mutex::new(None));
    Mutant::new(
        "fails-after-a-restart",
        "users-me/200-restarted",
        move |target, request| {
            let is_users_me = request.uri().path() == USERS_ME;
            let fails = is_users_me && is_restarted(&mut held.lock().unwrap(), target.postgres);
            async move {
                match fails {
                    true => error(Internal),
                    false => target.respond(request).await,
                }
            }
        },
    )
}

fn is_restarted(held: &mut Option<(Instant, TcpStream)>, postgres: SocketAddr) -> bool {
    /// Postgres closes a connection that does not log in for a minute.
    const AGE_MAX: Duration = Duration::from_secs(5);
    let is_closed = held
        .as_mut()
        .is_some_and(|(_, stream)| match stream.read(&mut [0]) {
            Err(error) => error.kind() != ErrorKind::WouldBlock,
            Ok(_) => true,
        });
    let is_old = |(since, _): &(Instant, _)| since.elapsed() > AGE_MAX;
    if is_closed || held.as_ref().is_none_or(is_old) {
        *held = TcpStream::connect(postgres).ok().map(|stream| {
            stream.set_nonblocking(true).unwrap();
            (Instant::now(), stream)
        });
    }
    is_closed && held.is_some()
}

/// Holds a connection that is opened again only after a request has found it broken.
fn fails_after_a_cut() -> Mutant {
    let held = Arc::new(tokio::sync::Mutex::new(None::<PgConnection>));
    Mutant::new(
        "fails-after-a-cut",
        "users-me/200-cut",
        move |target, request| {
            let held = Arc::clone(&held);
            async move {
                if request.uri().path() != USERS_ME {
                    return target.respond(request).await;
                }
                let mut held = held.lock().await;
                let is_cut = match held.as_mut() {
                    Some(connection) => connection.ping().await.is_err(),
                    None => false,
                };
                if is_cut || held.is_none() {
                    let options = PgConnectOptions::new_without_pgpass()
                        .host("127.0.0.1")
                        .port(target.postgres.port())
                        .username("bench")
                        .password("bench")
                        .database(&target.database);
                    *held = PgConnection::connect_with(&options).await.ok();
                }
                drop(held);
                match is_cut {
                    true => error(Internal),
                    false => target.respond(request).await,
                }
            }
        },
    )
}
