//! What the tuned client of Postgres promises of its connections.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use schema::limits::DB_ACQUIRE_TIMEOUT;
use schema::{ErrorCode, fixtures};
use testbed::postgres::TemporaryPostgres;

use crate::database::Session;
use crate::scripted::Scripted;
use crate::suite::{Target, assert_error, authorization, body, claims_of, request};

/// What a deadline may be late on a busy machine.
const LATE: Duration = Duration::from_secs(3);

fn get_me(sub: &str) -> String {
    request("GET", "/users/me", &[&authorization(&claims_of(sub))], "")
}

#[test]
fn a_client_that_goes_away_leaves_its_row_to_nobody() {
    let postgres = TemporaryPostgres::start().unwrap();
    let port = postgres.port().to_string();
    let target = Target::with(&[("DB_PORT", &port), ("DB_POOL_SIZE", "1")]);
    let mut session = Session::open(postgres.port());
    session.execute("INSERT INTO users VALUES ('other', 'n', 'e', 'a', 'c', 'c')");
    let me = fixtures::claims().sub;
    assert_eq!(body(&target.ask(get_me(&me)))["id"], me);
    for _ in 0..3 {
        session.execute("BEGIN");
        session.execute("LOCK TABLE users");
        let mut leaves = target.connect();
        leaves.send(get_me("other")).unwrap();
        sleep(Duration::from_millis(200));
        drop(leaves);
        let mut stays = target.connect();
        stays.send(get_me(&me)).unwrap();
        sleep(Duration::from_millis(200));
        session.execute("ROLLBACK");
        assert_eq!(body(&stays.answer().unwrap())["id"], me);
        assert_eq!(body(&target.ask(get_me("other")))["id"], "other");
    }
}

#[test]
fn a_postgres_that_refuses_is_asked_seldom() {
    // Ends every connection before it is one.
    let refusing = Scripted::start(|_, stream| drop(stream));
    let port = refusing.port().to_string();
    let target = Target::with(&[("DB_PORT", &port)]);
    let mut clients: Vec<_> = (0..200).map(|_| target.connect()).collect();
    let asked = Instant::now();
    for client in &mut clients {
        client.send(get_me("user-123")).unwrap();
    }
    for client in &mut clients {
        assert_error(&client.answer().unwrap(), ErrorCode::DatabaseUnavailable);
    }
    assert!(asked.elapsed() < DB_ACQUIRE_TIMEOUT + LATE);
    // One by everybody who has a place, and then a few after pauses that grow.
    let tries = refusing.connections();
    assert!(tries < 64 + 30, "{tries} tries");
}

#[test]
fn requests_wait_for_a_postgres_that_comes_back() {
    let mut postgres = TemporaryPostgres::start().unwrap();
    let port = postgres.port().to_string();
    let target = Target::with(&[("DB_PORT", &port)]);
    assert_eq!(target.ask(get_me("user-123")).status, 200);
    postgres.stop().unwrap();
    let mut clients: Vec<_> = (0..100).map(|_| target.connect()).collect();
    for client in &mut clients {
        client.send(get_me("user-123")).unwrap();
    }
    // The pauses have grown to their longest by then.
    sleep(Duration::from_secs(2));
    postgres.start_again().unwrap();
    let back = Instant::now();
    for client in &mut clients {
        assert_eq!(client.answer().unwrap().status, 200);
    }
    assert!(back.elapsed() < Duration::from_secs(1) + LATE);
}

/// Every request that comes while the others wait has more time left than they have: whoever must try
/// first has no time to.
#[test]
fn a_postgres_that_comes_back_is_found_though_requests_never_cease() {
    let mut postgres = TemporaryPostgres::start().unwrap();
    let port = postgres.port().to_string();
    let target = Target::with(&[("DB_PORT", &port)]);
    assert_eq!(target.ask(get_me("user-123")).status, 200);
    postgres.stop().unwrap();
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut clients = Vec::new();
            while !over.load(Ordering::Relaxed) {
                let mut client = target.connect();
                client.send(get_me("user-123")).unwrap();
                clients.push(client);
                sleep(Duration::from_millis(10));
            }
        });
        sleep(DB_ACQUIRE_TIMEOUT + Duration::from_secs(1));
        postgres.start_again().unwrap();
        let answer = target.connect().ask(get_me("user-123"));
        over.store(true, Ordering::Relaxed);
        assert_eq!(answer.unwrap().status, 200);
    });
}
