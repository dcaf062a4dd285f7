//! `GET /catalog`: the product, and every fault of the upstream.

use std::net::{Ipv4Addr, SocketAddr};
use std::thread;
use std::time::{Duration, Instant};

use schema::limits::{UPSTREAM_CALL_TIMEOUT, UPSTREAM_CONNECT_TIMEOUT};
use schema::{ErrorCode, fixtures};
use socket2::{Domain, Socket, Type};
use testbed::raw::{Answer, Connection};

use crate::suite::{
    LATE, Profile, ask_all, assert_error, each_profile, free_port, get, start_upstream,
};

/// Returns the answer of a target whose upstream has this fault, and its time.
fn with_fault(profile: Profile, fault: &str) -> (Answer, Duration) {
    let upstream = start_upstream(0);
    let url = format!("http://{}/faults/{fault}", upstream.address());
    let target = profile.with(&[("UPSTREAM_URL", &url)]);
    let start = Instant::now();
    (target.get("/catalog"), start.elapsed())
}

#[test]
fn product_of_the_upstream_is_answered_under_both_paths() {
    each_profile(|profile| {
        let target = profile.start();
        for path in ["/catalog", "/proxy"] {
            let answer = target.get(path);
            assert_eq!(answer.status, 200);
            assert_eq!(answer.header("content-type"), Some("application/json"));
            assert_eq!(answer.text(), fixtures::PRODUCT_JSON);
        }
        let (slow, elapsed) = with_fault(profile, "delay-300");
        assert_eq!(slow.text(), fixtures::PRODUCT_JSON);
        assert!(elapsed >= Duration::from_millis(300));
    });
}

#[test]
fn misbehaving_upstream_is_unavailable() {
    each_profile(|profile| {
        for fault in [
            "status-201",
            "status-204",
            "status-301",
            "status-401",
            "status-404",
            "status-500",
            "status-503",
            "reset",
            "truncate",
            "malformed",
            "wrong-shape",
            "redirect",
            "huge",
        ] {
            let (answer, elapsed) = with_fault(profile, fault);
            assert_error(&answer, ErrorCode::UpstreamUnavailable);
            assert!(elapsed < UPSTREAM_CALL_TIMEOUT, "{fault} took {elapsed:?}");
        }
        let target = profile.with(&[("UPSTREAM_API_KEY", "wrong")]);
        assert_error(&target.get("/catalog"), ErrorCode::UpstreamUnavailable);
    });
}

#[test]
fn upstream_slower_than_the_deadline_is_a_timeout() {
    each_profile(|profile| {
        thread::scope(|scope| {
            for fault in ["hang", "trickle", "delay-6000"] {
                scope.spawn(move || {
                    let (answer, elapsed) = with_fault(profile, fault);
                    assert_error(&answer, ErrorCode::UpstreamTimeout);
                    let expected = UPSTREAM_CALL_TIMEOUT..UPSTREAM_CALL_TIMEOUT + LATE;
                    assert!(expected.contains(&elapsed), "{fault} took {elapsed:?}");
                });
            }
        });
    });
}

#[test]
fn upstream_that_accepts_no_connection_in_time_is_a_timeout() {
    // A listener with a full backlog lets further connections wait.
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    listener.bind(&any_port.into()).unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    let waiting = (0..8).map(|_| {
        let client = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        client.set_nonblocking(true).unwrap();
        // In progress, and perhaps never accepted.
        let _ = client.connect(&address);
        client
    });
    let _waiting: Vec<_> = waiting.collect();
    let url = format!("http://{}", address.as_socket().unwrap());
    each_profile(|profile| {
        let target = profile.with(&[("UPSTREAM_URL", &url)]);
        let start = Instant::now();
        assert_error(&target.get("/catalog"), ErrorCode::UpstreamTimeout);
        let expected = UPSTREAM_CONNECT_TIMEOUT..UPSTREAM_CALL_TIMEOUT;
        assert!(expected.contains(&start.elapsed()), "{:?}", start.elapsed());
    });
}

#[test]
fn upstream_that_comes_back_is_used_again() {
    each_profile(|profile| {
        let port = free_port();
        let url = format!("http://127.0.0.1:{port}");
        let target = profile.with(&[("UPSTREAM_URL", &url)]);
        assert_error(&target.get("/catalog"), ErrorCode::UpstreamUnavailable);
        assert_eq!(target.get("/info").status, 200);
        for _ in 0..2 {
            let upstream = start_upstream(port);
            for _ in 0..3 {
                assert_eq!(target.get("/catalog").text(), fixtures::PRODUCT_JSON);
            }
            upstream.stop().unwrap();
            assert_error(&target.get("/catalog"), ErrorCode::UpstreamUnavailable);
        }
    });
}

#[test]
fn hanging_calls_leave_other_endpoints_served() {
    each_profile(|profile| {
        let upstream = start_upstream(0);
        let url = format!("http://{}/faults/hang", upstream.address());
        let target = profile.with(&[("UPSTREAM_URL", &url)]);
        let mut hanging = target.connections(100);
        let start = Instant::now();
        thread::scope(|scope| {
            let answers = scope.spawn(|| ask_all(&mut hanging, &get("/catalog")));
            assert_eq!(target.get("/info").status, 200);
            // The deadline includes the wait for a permit: all calls time out together.
            for answer in answers.join().unwrap() {
                assert_error(&answer, ErrorCode::UpstreamTimeout);
            }
        });
        assert!(start.elapsed() < UPSTREAM_CALL_TIMEOUT + LATE);
    });
}

#[test]
fn proxy_of_the_environment_is_not_used() {
    each_profile(|profile| {
        let upstream = start_upstream(0);
        let refusing = format!("http://127.0.0.1:{}", free_port());
        let proxies = ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"];
        let target = profile.start_process_with(
            &format!("http://{}", upstream.address()),
            &proxies.map(|name| (name, &*refusing)),
        );
        let mut connection = Connection::open(target.address()).unwrap();
        let answer = connection.ask(get("/catalog")).unwrap();
        assert_eq!(answer.text(), fixtures::PRODUCT_JSON);
    });
}
