//! `GET /users/me`: changes of the database, and the connections to it.

use std::io::Read;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use schema::limits::DB_ACQUIRE_TIMEOUT;
use schema::{ErrorCode, env, fixtures};
use testbed::raw::Connection;

use crate::scripted::Scripted;
use crate::session::Session;
use crate::suite::{
    LATE, TUNED, answers, ask_all, assert_error, authorization, body, each_profile, get_me,
    get_user,
};

#[track_caller]
fn assert_all_answered(connections: &mut [Connection]) {
    for answer in ask_all(connections, &get_me()) {
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
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
        let (target, postgres) = profile.with_own_postgres(&[("DB_POOL_SIZE", "1")]);
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
fn row_for_a_client_that_went_away_is_dropped() {
    each_profile(|profile| {
        let (target, postgres) = profile.with_own_postgres(&[("DB_POOL_SIZE", "1")]);
        let mut session = Session::open(postgres.port());
        session.execute("INSERT INTO users VALUES ('other', 'n', 'e', 'a', 'c', 'c')");
        let me = fixtures::claims().sub;
        assert_eq!(body(&target.ask(get_me()))["id"], me);
        for _ in 0..3 {
            session.lock();
            let mut leaves = target.connect();
            leaves.send(get_user("other")).unwrap();
            sleep(Duration::from_millis(200));
            drop(leaves);
            let mut stays = target.connect();
            stays.send(get_me()).unwrap();
            sleep(Duration::from_millis(200));
            session.unlock();
            assert_eq!(body(&stays.answer().unwrap())["id"], me);
            assert_eq!(body(&target.ask(get_user("other")))["id"], "other");
        }
    });
}

/// pgbouncer refuses parameters that it does not know, and variables of libpq are not the contract's.
#[test]
fn session_starts_with_parameters_of_the_contract_alone() {
    each_profile(|profile| {
        let (messages, message) = mpsc::channel();
        let postgres = Scripted::start(move |_, mut stream| {
            let mut length = [0; 4];
            stream.read_exact(&mut length).unwrap();
            let mut message = vec![0; u32::from_be_bytes(length) as usize - length.len()];
            stream.read_exact(&mut message).unwrap();
            // The test needs the first one.
            let _ = messages.send(message);
        });
        let target = profile.start_process_with(
            "http://127.0.0.1:1",
            &[
                ("DB_PORT", &postgres.port().to_string()),
                ("PGHOSTADDR", "127.0.0.2"),
                ("PGUSER", "other"),
                ("PGDATABASE", "other"),
                ("PGAPPNAME", "other"),
                ("PGSSLMODE", "require"),
                ("PGOPTIONS", "-c search_path=other"),
            ],
        );
        let mut client = Connection::open(target.address()).unwrap();
        client.send(get_me()).unwrap();
        let message = message.recv().unwrap();
        let (version, parameters) = message.split_at(4);
        assert_eq!(version, [0, 3, 0, 0]);
        let parameters = String::from_utf8(parameters.to_vec()).unwrap();
        let mut parameters: Vec<_> = parameters.trim_end_matches('\0').split('\0').collect();
        let mut expected = vec![
            "user",
            env::bench_value(&env::DB_USER),
            "database",
            env::bench_value(&env::DB_NAME),
            "application_name",
            "target-axum",
            "client_encoding",
            "UTF8",
            "DateStyle",
            "ISO, MDY",
            "TimeZone",
            "UTC",
        ];
        parameters.sort_unstable();
        expected.sort_unstable();
        assert_eq!(parameters, expected);
    });
}

#[test]
fn tuned_target_tries_a_refusing_postgres_rarely() {
    let refusing = Scripted::start(|_, stream| drop(stream));
    let target = TUNED.with(&[("DB_PORT", &refusing.port().to_string())]);
    let start = Instant::now();
    for answer in ask_all(&mut target.connections(200), &get_me()) {
        assert_error(&answer, ErrorCode::DatabaseUnavailable);
    }
    assert!(start.elapsed() < DB_ACQUIRE_TIMEOUT + LATE);
    // One try for each permit, and then a few after growing pauses.
    let tries = refusing.connections();
    assert!(tries < 64 + 30, "{tries} tries");
}

#[test]
fn tuned_requests_wait_for_a_postgres_that_comes_back() {
    let (target, mut postgres) = TUNED.with_own_postgres(&[]);
    assert_eq!(target.ask(get_me()).status, 200);
    postgres.stop().unwrap();
    let mut clients = target.connections(100);
    for client in &mut clients {
        client.send(get_me()).unwrap();
    }
    // By then the pauses have grown to the longest.
    sleep(Duration::from_secs(2));
    postgres.start_again().unwrap();
    let back = Instant::now();
    for answer in answers(&mut clients) {
        assert_eq!(answer.status, 200);
    }
    assert!(back.elapsed() < Duration::from_secs(1) + LATE);
}

/// If calls tried by themselves, the one that waited longest would try first and have no time left.
#[test]
fn tuned_target_finds_a_postgres_that_comes_back_under_lasting_load() {
    let (target, mut postgres) = TUNED.with_own_postgres(&[]);
    assert_eq!(target.ask(get_me()).status, 200);
    postgres.stop().unwrap();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut clients = Vec::new();
            while !is_over.load(Ordering::Relaxed) {
                let mut client = target.connect();
                client.send(get_me()).unwrap();
                clients.push(client);
                sleep(Duration::from_millis(10));
            }
        });
        sleep(DB_ACQUIRE_TIMEOUT + Duration::from_secs(1));
        postgres.start_again().unwrap();
        let answer = target.connect().ask(get_me());
        is_over.store(true, Ordering::Relaxed);
        assert_eq!(answer.unwrap().status, 200);
    });
}
