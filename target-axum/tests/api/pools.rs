//! The limits of 64 connections to Postgres and 64 calls of the upstream, over all workers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::sleep;
use std::time::Duration;

use crate::scripted::{Scripted, answer, product, read_request};
use crate::session::Session;
use crate::suite::{answers, ask_all, each_profile, get, get_me};

/// More than both limits, and more than the shares of two workers.
const CLIENTS: usize = 150;

#[test]
fn all_workers_together_have_64_database_connections() {
    each_profile(|profile| {
        for workers in ["1", "3"] {
            let (target, postgres) = profile.with_own_postgres(&[("WORKERS", workers)]);
            let mut clients = target.connections(CLIENTS);
            // Logging in takes time: the pools are filled before the table is locked.
            ask_all(&mut clients, &get_me());
            let mut session = Session::open(postgres.port());
            session.lock();
            for client in &mut clients {
                client.send(get_me()).unwrap();
            }
            // In a transaction, a session sees the same statistics again.
            let mut observer = Session::open(postgres.port());
            let all_used = (0..80).any(|_| {
                sleep(Duration::from_millis(50));
                observer.target_connections() == 64
            });
            session.unlock();
            for answer in answers(&mut clients) {
                assert_eq!(answer.status, 200);
            }
            assert!(all_used, "{workers} workers");
            assert_eq!(session.target_connections(), 64, "{workers} workers");
        }
    });
}

#[test]
fn all_workers_together_have_64_calls_of_the_upstream_in_flight() {
    each_profile(|profile| {
        for workers in ["1", "3"] {
            let calls = AtomicUsize::new(0);
            let calls_max = Arc::new(AtomicUsize::new(0));
            let observed = Arc::clone(&calls_max);
            let upstream = Scripted::start(move |_, mut stream| {
                while read_request(&mut stream).is_some() {
                    let now = calls.fetch_add(1, Ordering::SeqCst) + 1;
                    observed.fetch_max(now, Ordering::SeqCst);
                    sleep(Duration::from_millis(20));
                    calls.fetch_sub(1, Ordering::SeqCst);
                    answer(&mut stream, 1);
                }
            });
            let target = profile.with(&[("UPSTREAM_URL", &upstream.url()), ("WORKERS", workers)]);
            let mut clients = target.connections(CLIENTS);
            for _ in 0..10 {
                for answer in ask_all(&mut clients, &get("/catalog")) {
                    assert_eq!(answer.text(), product(1));
                }
            }
            assert_eq!(calls_max.load(Ordering::SeqCst), 64, "{workers} workers");
            if profile.0 == "tuned" {
                assert_eq!(upstream.connections(), 64, "{workers} workers");
            }
        }
    });
}
