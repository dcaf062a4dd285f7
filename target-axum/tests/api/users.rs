//! `GET /users/me`: the row, and every fault of the database.

use std::thread::sleep;
use std::time::{Duration, Instant};

use schema::limits::{DB_ACQUIRE_TIMEOUT, DB_STATEMENT_TIMEOUT};
use schema::{ErrorCode, fixtures};
use testbed::raw::Connection;

use crate::session::Session;
use crate::suite::{
    LATE, answers, ask_all, assert_error, authorization, body, each_profile, free_port, get_me,
    get_user, movie,
};

#[track_caller]
fn assert_all_answered(connections: &mut [Connection]) {
    for answer in ask_all(connections, &get_me()) {
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
}

#[test]
fn row_of_the_user_is_answered_and_a_missing_one_is_not_found() {
    each_profile(|profile| {
        let target = profile.start();
        let answer = target.ask(get_me());
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("content-type"), Some("application/json"));
        let expected = serde_json::to_string(&fixtures::profile()).unwrap();
        assert_eq!(answer.text(), expected);
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
            let answer = target.ask(get_user(sub));
            assert_error(&answer, ErrorCode::UserNotFound);
        }
    });
}

#[test]
fn bench_token_file_holds_the_token_of_the_bench_claims() {
    let token = include_str!("../../../schema/bench.token").trim_end();
    let header = format!("authorization: Bearer {token}");
    assert_eq!(header, authorization(&fixtures::claims()));
}

#[test]
fn changed_row_or_table_shows_at_once() {
    each_profile(|profile| {
        let (target, postgres) = profile.with_own_postgres(&[]);
        let mut session = Session::open(postgres.port());
        for city in ["Paris", "Żółć", "London"] {
            session.execute(&format!("UPDATE users SET city = '{city}'"));
            assert_eq!(body(&target.ask(get_me()))["city"], city);
        }
        // The prepared statements of open sessions fail in a way that the target does not know.
        session.execute("ALTER TABLE users ALTER city TYPE varchar(99)");
        assert_error(&target.ask(get_me()), ErrorCode::DatabaseUnavailable);
        assert_eq!(target.ask(get_me()).status, 200);
        session.execute("DELETE FROM users");
        assert_error(&target.ask(get_me()), ErrorCode::UserNotFound);
        session.execute("DROP TABLE users");
        assert_error(&target.ask(get_me()), ErrorCode::Internal);
    });
}

#[test]
fn refusing_database_is_unavailable_and_other_endpoints_are_served() {
    each_profile(|profile| {
        let target = profile.with(&[("DB_PORT", &free_port().to_string())]);
        let start = Instant::now();
        assert_error(&target.ask(get_me()), ErrorCode::DatabaseUnavailable);
        assert!(start.elapsed() < DB_ACQUIRE_TIMEOUT + LATE);
        assert_eq!(target.get("/info").status, 200);
        assert_eq!(target.post_movie(movie()).status, 201);
    });
}

#[test]
fn no_request_fails_after_a_restart_or_cut_connections() {
    each_profile(|profile| {
        let (target, mut postgres) = profile.with_own_postgres(&[]);
        let mut connections = target.connections(20);
        assert_all_answered(&mut connections);
        postgres.stop().unwrap();
        assert_error(&target.ask(get_me()), ErrorCode::DatabaseUnavailable);
        postgres.start_again().unwrap();
        // Every pooled connection is dead.
        assert_all_answered(&mut connections);
        let mut session = Session::open(postgres.port());
        for _ in 0..3 {
            session.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                 WHERE application_name = 'target-axum'",
            );
            assert_all_answered(&mut connections);
        }
    });
}

#[test]
fn slow_statement_and_exhausted_pool_are_unavailable() {
    each_profile(|profile| {
        let (target, postgres) = profile.with_own_postgres(&[("DB_POOL_SIZE", "1")]);
        let mut session = Session::open(postgres.port());
        session.lock();
        let mut first = target.connect();
        let start = Instant::now();
        first.send(get_me()).unwrap();
        sleep(Duration::from_millis(200));
        // The first request has the only connection: the others wait for it in vain.
        let mut others = target.connections(10);
        for connection in &mut others {
            connection.send(get_me()).unwrap();
        }
        assert_error(&first.answer().unwrap(), ErrorCode::DatabaseUnavailable);
        assert!(start.elapsed() > DB_STATEMENT_TIMEOUT / 2);
        assert_eq!(target.get("/info").status, 200);
        for answer in answers(&mut others) {
            assert_error(&answer, ErrorCode::DatabaseUnavailable);
        }
        assert!(start.elapsed() < DB_ACQUIRE_TIMEOUT + DB_STATEMENT_TIMEOUT + LATE);
        session.unlock();
        assert_eq!(target.ask(get_me()).status, 200);
    });
}
