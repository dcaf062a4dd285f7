//! Connections to the upstream: promises of both profiles, and those of the tuned one alone.

use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread::sleep;
use std::time::Duration;

use schema::{ErrorCode, env};

use crate::scripted::{Scripted, answer, product, read_request};
use crate::suite::{Profile, TUNED, Target, answers, assert_error, each_profile, get};

/// Long enough for sent data to arrive over loopback.
const ARRIVED: Duration = Duration::from_millis(100);

fn target(profile: Profile, upstream: &Scripted, pool_size: &str) -> Target {
    profile.with(&[
        ("UPSTREAM_URL", &upstream.url()),
        ("UPSTREAM_POOL_SIZE", pool_size),
    ])
}

#[test]
fn connection_is_reused() {
    each_profile(|profile| {
        let upstream = Scripted::start(|_, mut stream| {
            let mut requests = 0;
            while read_request(&mut stream).is_some() {
                requests += 1;
                answer(&mut stream, requests);
            }
        });
        let target = target(profile, &upstream, "64");
        for id in 1..=20 {
            assert_eq!(target.get("/catalog").text(), product(id));
        }
        assert_eq!(upstream.connections(), 1);
    });
}

#[test]
fn request_names_host_path_and_key() {
    each_profile(|profile| {
        let (heads, head) = mpsc::channel();
        let upstream = Scripted::start(move |number, mut stream| {
            heads.send(read_request(&mut stream)).unwrap();
            answer(&mut stream, number);
        });
        let authority = format!("localhost:{}", upstream.port());
        let target = profile.with(&[("UPSTREAM_URL", &format!("http://{authority}/a/prefix"))]);
        assert_eq!(target.get("/catalog").text(), product(1));
        let head = head.recv().unwrap().unwrap();
        let key = env::bench_value(&env::UPSTREAM_API_KEY);
        assert!(
            head.starts_with("GET /a/prefix/data HTTP/1.1\r\n"),
            "{head}"
        );
        for line in [
            format!("host: {authority}"),
            format!("authorization: Bearer {key}"),
        ] {
            assert!(head.lines().any(|one| one == line), "{head}");
        }
    });
}

#[test]
fn idle_connection_that_the_upstream_closed_is_replaced() {
    each_profile(|profile| {
        let upstream = Scripted::start(|number, mut stream| {
            if read_request(&mut stream).is_some() {
                answer(&mut stream, number);
            }
        });
        let target = target(profile, &upstream, "64");
        for id in 1..=5 {
            assert_eq!(target.get("/catalog").text(), product(id));
            sleep(ARRIVED);
        }
    });
}

#[test]
fn response_without_a_request_is_not_taken_for_the_next_one() {
    each_profile(|profile| {
        // Together with the requested one, and while the connection is idle.
        for later in [Duration::ZERO, ARRIVED / 2] {
            let upstream = Scripted::start(move |number, mut stream| {
                while read_request(&mut stream).is_some() {
                    answer(&mut stream, number);
                    sleep(later);
                    answer(&mut stream, 1000);
                }
            });
            let target = target(profile, &upstream, "1");
            for id in 1..=5 {
                assert_eq!(target.get("/catalog").text(), product(id));
                sleep(ARRIVED);
            }
        }
    });
}

#[test]
fn rest_of_a_refused_response_is_not_taken_for_the_next_one() {
    each_profile(|profile| {
        // First a 404, then a product and a 404 on each connection. The body of a 404 looks like the
        // start of a response with a product.
        let upstream = Scripted::start(|number, mut stream| {
            let mut requests = 0;
            while read_request(&mut stream).is_some() {
                requests += 1;
                if number == 1 || requests == 2 {
                    let head = "HTTP/1.1 404 Not Found\r\ncontent-length: 100\r\n\r\n";
                    let _ = stream.write_all(head.as_bytes());
                }
                answer(&mut stream, number);
            }
        });
        let target = target(profile, &upstream, "1");
        for _ in 0..3 {
            assert_error(&target.get("/catalog"), ErrorCode::UpstreamUnavailable);
            let next = target.get("/catalog").text();
            assert_eq!(next, product(upstream.connections()));
        }
    });
}

#[test]
fn answer_for_a_client_that_went_away_is_dropped() {
    each_profile(|profile| {
        let requests = AtomicUsize::new(0);
        let upstream = Scripted::start(move |_, mut stream| {
            while read_request(&mut stream).is_some() {
                let id = requests.fetch_add(1, Ordering::SeqCst) + 1;
                sleep(3 * ARRIVED);
                answer(&mut stream, id);
            }
        });
        let target = target(profile, &upstream, "1");
        assert_eq!(target.get("/catalog").text(), product(1));
        let mut leaves = target.connect();
        leaves.send(get("/catalog")).unwrap();
        sleep(ARRIVED);
        drop(leaves);
        assert_eq!(target.get("/catalog").text(), product(3));
    });
}

#[test]
fn waiting_calls_are_made_in_the_order_of_their_requests() {
    each_profile(|profile| {
        let requests = AtomicUsize::new(0);
        let upstream = Scripted::start(move |_, mut stream| {
            while read_request(&mut stream).is_some() {
                let id = requests.fetch_add(1, Ordering::SeqCst) + 1;
                sleep(Duration::from_millis(20));
                answer(&mut stream, id);
            }
        });
        let target = target(profile, &upstream, "1");
        let mut clients = target.connections(20);
        for client in &mut clients {
            client.send(get("/catalog")).unwrap();
            sleep(Duration::from_millis(5));
        }
        for (answer, id) in answers(&mut clients).iter().zip(1..) {
            assert_eq!(answer.text(), product(id));
        }
    });
}

#[test]
fn tuned_call_on_a_reused_connection_that_ends_is_repeated_once() {
    let upstream = Scripted::start(|number, mut stream| {
        read_request(&mut stream);
        if number <= 3 {
            answer(&mut stream, number);
            // The second request is read and never answered.
            read_request(&mut stream);
        }
    });
    let target = target(TUNED, &upstream, "64");
    for id in 1..=3 {
        assert_eq!(target.get("/catalog").text(), product(id));
        assert_eq!(upstream.connections(), id);
    }
    for connections in [4, 5] {
        assert_error(&target.get("/catalog"), ErrorCode::UpstreamUnavailable);
        assert_eq!(upstream.connections(), connections);
    }
}
