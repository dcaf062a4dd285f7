//! Mutants of `GET /users/me` and `GET /ready` while Postgres fails.

use std::io::{ErrorKind, Read};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::{Request, StatusCode};
use schema::ErrorCode;
use schema::routes::{INFO, USERS_ME};
use sqlx::Connection;
use sqlx::postgres::{PgConnectOptions, PgConnection};

use crate::server::{Honest, Mutant, error};

pub(crate) fn mutants() -> Vec<Mutant> {
    vec![
        Mutant::new(
            "waits-longer-for-a-lock",
            &["users-me/503-locked"],
            async |honest: Honest, request: Request<Body>| {
                let asked = request.uri().path() == USERS_ME;
                let answer = honest.answer(request).await;
                if asked && is_unavailable(&answer) {
                    tokio::time::sleep(Duration::from_secs(3)).await;
                }
                answer
            },
        )
        .with_faults(),
        Mutant::new(
            "locked-is-500",
            &["users-me/503-locked"],
            async |honest: Honest, request: Request<Body>| {
                let asked = request.uri().path() == USERS_ME;
                let answer = honest.answer(request).await;
                match asked && is_unavailable(&answer) {
                    true => error(ErrorCode::Internal),
                    false => answer,
                }
            },
        )
        .with_faults(),
        Mutant::new(
            "stopped-without-retry-after",
            &["users-me/503-stopped"],
            async |honest: Honest, request: Request<Body>| {
                let asked = request.uri().path() == USERS_ME;
                let postgres = honest.postgres;
                let mut answer = honest.answer(request).await;
                if asked && is_unavailable(&answer) && !listens(postgres) {
                    answer.headers_mut().remove("retry-after");
                }
                answer
            },
        )
        .with_own_postgres(),
        Mutant::new(
            "stopped-stops-everything",
            &["users-me/503-stopped"],
            async |honest: Honest, request: Request<Body>| match request.uri().path() == INFO
                && !listens(honest.postgres)
            {
                true => error(ErrorCode::DatabaseUnavailable),
                false => honest.answer(request).await,
            },
        )
        .with_own_postgres(),
        never_again_after_a_failure(),
        fails_after_a_restart(),
        fails_after_a_cut(),
        Mutant::new(
            "ready-without-postgres",
            &["ready/503-database"],
            async |honest: Honest, request: Request<Body>| {
                super::ready_without(ErrorCode::DatabaseUnavailable, &honest, request).await
            },
        )
        .with_own_postgres(),
    ]
}

fn is_unavailable(answer: &axum::http::Response<Body>) -> bool {
    answer.status() == StatusCode::SERVICE_UNAVAILABLE
}

fn listens(postgres: SocketAddr) -> bool {
    TcpStream::connect(postgres).is_ok()
}

/// What asks after the failure fails, whatever its check is.
fn never_again_after_a_failure() -> Mutant {
    let is_broken = Arc::new(AtomicBool::new(false));
    let trips = &[
        "users-me/503-locked",
        "users-me/503-stopped",
        "users-me/*",
        "*/503-*",
    ];
    Mutant::new(
        "never-again-after-a-failure",
        trips,
        move |honest, request| {
            let is_broken = Arc::clone(&is_broken);
            async move {
                if request.uri().path() != USERS_ME {
                    return honest.answer(request).await;
                }
                if is_broken.load(Ordering::Relaxed) {
                    return error(ErrorCode::DatabaseUnavailable);
                }
                let answer = honest.answer(request).await;
                is_broken.fetch_or(is_unavailable(&answer), Ordering::Relaxed);
                answer
            }
        },
    )
    .with_own_postgres()
}

/// Holds a connection that only the end of the server ends: it never logs in.
fn fails_after_a_restart() -> Mutant {
    let held = Arc::new(Mutex::new(None));
    Mutant::new(
        "fails-after-a-restart",
        &["users-me/200-restarted"],
        move |honest, request| {
            let asked = request.uri().path() == USERS_ME;
            let fails = asked && is_restarted(&mut held.lock().unwrap(), honest.postgres);
            async move {
                match fails {
                    true => error(ErrorCode::Internal),
                    false => honest.answer(request).await,
                }
            }
        },
    )
    .with_own_postgres()
}

fn is_restarted(held: &mut Option<(Instant, TcpStream)>, postgres: SocketAddr) -> bool {
    /// Postgres ends who does not log in for a minute.
    const AGE_MAX: Duration = Duration::from_secs(5);
    let is_ended = held
        .as_mut()
        .is_some_and(|(_, stream)| match stream.read(&mut [0]) {
            Err(error) => error.kind() != ErrorKind::WouldBlock,
            Ok(_) => true,
        });
    if is_ended
        || held
            .as_ref()
            .is_none_or(|(since, _)| since.elapsed() > AGE_MAX)
    {
        *held = TcpStream::connect(postgres).ok().map(|stream| {
            stream.set_nonblocking(true).unwrap();
            (Instant::now(), stream)
        });
    }
    is_ended && held.is_some()
}

/// Has a connection of its own that is not made again before it is found broken.
fn fails_after_a_cut() -> Mutant {
    let held = Arc::new(tokio::sync::Mutex::new(None::<PgConnection>));
    Mutant::new(
        "fails-after-a-cut",
        &["users-me/200-cut"],
        move |honest, request| {
            let held = Arc::clone(&held);
            async move {
                if request.uri().path() != USERS_ME {
                    return honest.answer(request).await;
                }
                let mut held = held.lock().await;
                let is_cut = match held.as_mut() {
                    Some(connection) => connection.ping().await.is_err(),
                    None => false,
                };
                if is_cut || held.is_none() {
                    let options = PgConnectOptions::new_without_pgpass()
                        .host("127.0.0.1")
                        .port(honest.postgres.port())
                        .username("bench")
                        .password("bench")
                        .database(&honest.database);
                    *held = PgConnection::connect_with(&options).await.ok();
                }
                drop(held);
                match is_cut {
                    true => error(ErrorCode::Internal),
                    false => honest.answer(request).await,
                }
            }
        },
    )
    .with_faults()
}
