//! `GET /users/me`: the row, and every trouble of the database.

use std::time::{Duration, Instant};

use schema::limits::{DB_ACQUIRE_TIMEOUT, DB_STATEMENT_TIMEOUT};
use schema::{ErrorCode, fixtures};
use testbed::postgres::TemporaryPostgres;
use testbed::raw::Connection;

use crate::database::Session;
use crate::suite::{Target, assert_error, authorization, claims_of, free_port, request};

/// What a deadline may be late on a busy machine.
const LATE: Duration = Duration::from_secs(3);

fn get_me() -> String {
    request(
        "GET",
        "/users/me",
        &[&authorization(&fixtures::claims())],
        "",
    )
}

/// A target with a Postgres of its own.
fn with_own_postgres(variables: &[(&str, &str)]) -> (Target, TemporaryPostgres) {
    let postgres = TemporaryPostgres::start().unwrap();
    let port = postgres.port().to_string();
    let target = Target::with(&[variables, &[("DB_PORT", &*port)]].concat());
    (target, postgres)
}

#[test]
fn answers_the_row_of_the_token_s_user() {
    let answer = Target::start().ask(get_me());
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let expected = serde_json::to_string(&fixtures::profile()).unwrap();
    assert_eq!(answer.text(), expected);
}

#[test]
fn bench_token_file_holds_the_token_of_the_bench_claims() {
    let token = include_str!("../../../schema/bench.token").trim_end();
    let header = format!("authorization: Bearer {token}");
    assert_eq!(header, authorization(&fixtures::claims()));
}

#[test]
fn a_user_that_does_not_exist_is_not_found() {
    let target = Target::start();
    for sub in [
        "user-124",
        "USER-123",
        "user-123 ",
        "' OR ''='",
        "%",
        "\u{0}",
        "a\u{0}b",
        "😀",
    ] {
        let answer = target.get_as("/users/me", &claims_of(sub));
        assert_error(&answer, ErrorCode::UserNotFound);
    }
}

#[test]
fn a_changed_row_shows_at_once() {
    let (target, postgres) = with_own_postgres(&[]);
    let mut session = Session::open(postgres.port());
    for city in ["Paris", "Żółć", "London"] {
        session.execute(&format!("UPDATE users SET city = '{city}'"));
        let profile: schema::Profile = serde_json::from_slice(&target.ask(get_me()).body).unwrap();
        assert_eq!(profile.city, city);
    }
    session.execute("DELETE FROM users");
    assert_error(&target.ask(get_me()), ErrorCode::UserNotFound);
}

#[test]
fn a_database_that_is_down_is_unavailable_and_info_is_served() {
    let port = free_port().to_string();
    let target = Target::with(&[("DB_PORT", &port)]);
    let asked = Instant::now();
    assert_error(&target.ask(get_me()), ErrorCode::DatabaseUnavailable);
    assert!(asked.elapsed() < DB_ACQUIRE_TIMEOUT + LATE);
    assert_eq!(target.get("/info").status, 200);
    let movie = serde_json::to_string(&fixtures::new_movie()).unwrap();
    assert_eq!(target.post_movie(movie).status, 201);
}

#[test]
fn a_database_that_stops_is_unavailable_and_one_that_comes_back_is_used_again() {
    let (target, mut postgres) = with_own_postgres(&[]);
    for _ in 0..2 {
        let mut connections: Vec<_> = (0..20).map(|_| target.connect()).collect();
        assert_all_answer(&mut connections);
        postgres.stop().unwrap();
        assert_error(&target.ask(get_me()), ErrorCode::DatabaseUnavailable);
        postgres.start_again().unwrap();
        // Every pooled connection is dead by now, and no request notices.
        assert_all_answer(&mut connections);
    }
}

#[test]
fn connections_cut_by_the_server_are_replaced_unnoticed() {
    let (target, postgres) = with_own_postgres(&[]);
    let mut session = Session::open(postgres.port());
    let mut connections: Vec<_> = (0..20).map(|_| target.connect()).collect();
    for _ in 0..3 {
        assert_all_answer(&mut connections);
        session.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'target-axum'",
        );
        assert_all_answer(&mut connections);
    }
}

#[test]
fn a_statement_over_its_deadline_is_the_database_s_unavailability() {
    let (target, postgres) = with_own_postgres(&[("DB_POOL_SIZE", "1")]);
    let mut session = Session::open(postgres.port());
    session.execute("BEGIN");
    session.execute("LOCK TABLE users");
    let mut first = target.connect();
    first.send(get_me()).unwrap();
    std::thread::sleep(Duration::from_millis(200));
    // The pool's one connection is taken: this one waits for it in vain.
    let mut second = target.connect();
    second.send(get_me()).unwrap();
    let asked = Instant::now();
    assert_error(&first.answer().unwrap(), ErrorCode::DatabaseUnavailable);
    assert!(asked.elapsed() > DB_STATEMENT_TIMEOUT / 2);
    assert_eq!(target.get("/info").status, 200);
    assert_error(&second.answer().unwrap(), ErrorCode::DatabaseUnavailable);
    assert!(asked.elapsed() < DB_ACQUIRE_TIMEOUT + DB_STATEMENT_TIMEOUT + LATE);
    session.execute("ROLLBACK");
    assert_eq!(target.ask(get_me()).status, 200);
}

#[test]
fn a_pool_that_is_exhausted_is_the_database_s_unavailability() {
    let (target, postgres) = with_own_postgres(&[("DB_POOL_SIZE", "1")]);
    let mut session = Session::open(postgres.port());
    session.execute("BEGIN");
    session.execute("LOCK TABLE users");
    let mut waiting: Vec<_> = (0..10).map(|_| target.connect()).collect();
    for connection in &mut waiting {
        connection.send(get_me()).unwrap();
    }
    let asked = Instant::now();
    for connection in &mut waiting {
        assert_error(
            &connection.answer().unwrap(),
            ErrorCode::DatabaseUnavailable,
        );
    }
    assert!(asked.elapsed() < DB_ACQUIRE_TIMEOUT + DB_STATEMENT_TIMEOUT + LATE);
}

#[test]
fn a_database_without_the_contract_s_table_is_an_internal_error() {
    let (target, postgres) = with_own_postgres(&[]);
    Session::open(postgres.port()).execute("DROP TABLE users");
    assert_error(&target.ask(get_me()), ErrorCode::Internal);
}

#[track_caller]
fn assert_all_answer(connections: &mut [Connection]) {
    for connection in &mut *connections {
        connection.send(get_me()).unwrap();
    }
    for connection in connections {
        let answer = connection.answer().unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
}
