//! What the tuned client of the upstream promises of its connections.

use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread::sleep;
use std::time::Duration;

use schema::{ErrorCode, env};

use crate::scripted::{self, Scripted, answer, product};
use crate::suite::{Target, assert_error, request};

/// Long enough for what was sent over loopback to have come.
const ARRIVED: Duration = Duration::from_millis(100);

fn get_catalog() -> String {
    request("GET", "/catalog", &[], "")
}

fn target(upstream: &Scripted, connections: &str) -> Target {
    Target::with(&[
        ("UPSTREAM_URL", &upstream.url()),
        ("UPSTREAM_POOL_SIZE", connections),
    ])
}

#[test]
fn a_connection_is_used_again() {
    let upstream = Scripted::start(|_, mut stream| {
        let mut requests = 0;
        while scripted::request(&mut stream).is_some() {
            requests += 1;
            answer(&mut stream, requests);
        }
    });
    let target = target(&upstream, "64");
    for id in 1..=20 {
        assert_eq!(target.get("/catalog").text(), product(id));
    }
    assert_eq!(upstream.connections(), 1);
}

#[test]
fn the_request_names_host_path_and_key() {
    let (heads, head) = mpsc::channel();
    let upstream = Scripted::start(move |number, mut stream| {
        heads.send(scripted::request(&mut stream)).unwrap();
        answer(&mut stream, number);
    });
    let authority = format!("localhost:{}", upstream.port());
    let url = format!("http://{authority}/a/prefix");
    let target = Target::with(&[("UPSTREAM_URL", &url)]);
    assert_eq!(target.get("/catalog").text(), product(1));
    let head = head.recv().unwrap().unwrap();
    let key = env::bench_value(&env::UPSTREAM_API_KEY);
    assert_eq!(
        head,
        format!(
            "GET /a/prefix/data HTTP/1.1\r\nhost: {authority}\r\nauthorization: Bearer {key}\r\n\r\n"
        )
    );
}

#[test]
fn connections_that_the_upstream_closed_while_idle_are_replaced_unnoticed() {
    let upstream = Scripted::start(|number, mut stream| {
        if scripted::request(&mut stream).is_some() {
            answer(&mut stream, number);
        }
    });
    let target = target(&upstream, "64");
    for id in 1..=5 {
        assert_eq!(target.get("/catalog").text(), product(id));
        sleep(ARRIVED);
    }
}

#[test]
fn a_call_that_meets_the_end_of_a_kept_connection_is_repeated_on_a_fresh_one() {
    let upstream = Scripted::start(|number, mut stream| {
        scripted::request(&mut stream);
        answer(&mut stream, number);
        // The second request is read, and never answered.
        scripted::request(&mut stream);
    });
    let target = target(&upstream, "64");
    for id in 1..=5 {
        assert_eq!(target.get("/catalog").text(), product(id));
        assert_eq!(upstream.connections(), id);
    }
}

#[test]
fn a_call_is_repeated_once_and_on_a_kept_connection_s_account_only() {
    let upstream = Scripted::start(|number, mut stream| {
        if number == 1 {
            scripted::request(&mut stream);
            answer(&mut stream, number);
        }
        scripted::request(&mut stream);
    });
    let target = target(&upstream, "64");
    assert_eq!(target.get("/catalog").text(), product(1));
    for connections in [2, 3] {
        assert_error(&target.get("/catalog"), ErrorCode::UpstreamUnavailable);
        assert_eq!(upstream.connections(), connections);
    }
}

#[test]
fn an_answer_that_nobody_asked_for_is_never_the_next_call_s() {
    // With the one that was asked for, and while the connection is idle.
    for later in [Duration::ZERO, ARRIVED / 2] {
        let upstream = Scripted::start(move |number, mut stream| {
            while scripted::request(&mut stream).is_some() {
                answer(&mut stream, number);
                sleep(later);
                answer(&mut stream, 1000);
            }
        });
        let target = target(&upstream, "1");
        for id in 1..=5 {
            assert_eq!(target.get("/catalog").text(), product(id));
            sleep(ARRIVED);
        }
    }
}

#[test]
fn what_is_left_of_an_answer_is_never_the_next_call_s() {
    // A 404 first, then a product and a 404 on each connection. The body of a 404 looks like the
    // start of an answer with a product.
    let upstream = Scripted::start(|number, mut stream| {
        let mut requests = 0;
        while scripted::request(&mut stream).is_some() {
            requests += 1;
            if number == 1 || requests == 2 {
                let left = "HTTP/1.1 404 Not Found\r\ncontent-length: 100\r\n\r\n";
                let _ = stream.write_all(left.as_bytes());
            }
            answer(&mut stream, number);
        }
    });
    let target = target(&upstream, "1");
    for _ in 0..3 {
        assert_error(&target.get("/catalog"), ErrorCode::UpstreamUnavailable);
        assert_eq!(
            target.get("/catalog").text(),
            product(upstream.connections())
        );
    }
}

#[test]
fn a_client_that_goes_away_leaves_its_answer_to_nobody() {
    let requests = AtomicUsize::new(0);
    let upstream = Scripted::start(move |_, mut stream| {
        while scripted::request(&mut stream).is_some() {
            let id = requests.fetch_add(1, Ordering::SeqCst) + 1;
            sleep(3 * ARRIVED);
            answer(&mut stream, id);
        }
    });
    let target = target(&upstream, "1");
    assert_eq!(target.get("/catalog").text(), product(1));
    let mut leaves = target.connect();
    leaves.send(get_catalog()).unwrap();
    sleep(ARRIVED);
    drop(leaves);
    assert_eq!(target.get("/catalog").text(), product(3));
    assert_eq!(upstream.connections(), 2);
}

#[test]
fn who_waits_is_served_in_the_order_of_asking_over_no_more_connections_than_there_are_places() {
    let requests = AtomicUsize::new(0);
    let upstream = Scripted::start(move |_, mut stream| {
        while scripted::request(&mut stream).is_some() {
            let id = requests.fetch_add(1, Ordering::SeqCst) + 1;
            sleep(Duration::from_millis(20));
            answer(&mut stream, id);
        }
    });
    let target = target(&upstream, "1");
    let mut clients: Vec<_> = (0..20).map(|_| target.connect()).collect();
    for client in &mut clients {
        client.send(get_catalog()).unwrap();
        sleep(Duration::from_millis(5));
    }
    for (client, id) in clients.iter_mut().zip(1..) {
        assert_eq!(client.answer().unwrap().text(), product(id));
    }
    assert_eq!(upstream.connections(), 1);
}
