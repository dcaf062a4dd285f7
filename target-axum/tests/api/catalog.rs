//! `GET /catalog`: connections to the upstream.

use std::io::Write;
use std::net::TcpStream;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use axum::body::{Body, to_bytes};
use http::Request;
use schema::limits::UPSTREAM_CALL_TIMEOUT;
use schema::{ErrorCode, env, fixtures};
use serve::Worker;
use socket2::SockRef;
use target_axum::AppState;
use testbed::raw::Connection;
use tokio::runtime::Builder;
use tower::ServiceExt;

use crate::scripted::{Scripted, answer, product, read_request};
use crate::suite::{
    LATE, Profile, Target, answers, ask_all, assert_error, each_profile, free_port, get,
    start_upstream,
};

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
fn connection_that_the_upstream_ends_costs_no_call() {
    /// The end of a connection after its first answer.
    type End = fn(TcpStream);
    let ends: [End; 4] = [
        drop,
        |stream| {
            sleep(Duration::from_millis(20));
            drop(stream);
        },
        |stream| {
            // Once the answer has arrived, a linger time of zero makes the close a reset.
            sleep(Duration::from_millis(20));
            SockRef::from(&stream)
                .set_linger(Some(Duration::ZERO))
                .unwrap();
        },
        |mut stream| drop(read_request(&mut stream)),
    ];
    each_profile(|profile| {
        for end in ends {
            let upstream = Scripted::start(move |_, mut stream| {
                if read_request(&mut stream).is_some() {
                    answer(&mut stream, 1);
                    end(stream);
                }
            });
            let target = target(profile, &upstream, "64");
            // More than one connection is idle at a time.
            let mut clients = target.connections(8);
            for pause_ms in [0, 10, 19, 20, 21, 40] {
                for answer in ask_all(&mut clients, &get("/catalog")) {
                    assert_eq!(answer.text(), product(1));
                }
                sleep(Duration::from_millis(pause_ms));
            }
        }
    });
}

#[test]
fn call_without_a_response_is_repeated_once() {
    each_profile(|profile| {
        let upstream = Scripted::start(|_, mut stream| drop(read_request(&mut stream)));
        let target = target(profile, &upstream, "64");
        for calls in 1..=3 {
            assert_error(&target.get("/catalog"), ErrorCode::UpstreamUnavailable);
            assert!(upstream.connections() <= 2 * calls);
        }
    });
}

/// The usual idle timeout of servers is 5 s.
#[test]
fn connection_is_not_reused_after_some_seconds() {
    each_profile(|profile| {
        let upstream = Scripted::start(|number, mut stream| {
            while read_request(&mut stream).is_some() {
                answer(&mut stream, number);
            }
        });
        let target = target(profile, &upstream, "64");
        assert_eq!(target.get("/catalog").text(), product(1));
        sleep(Duration::from_millis(4700));
        assert_eq!(target.get("/catalog").text(), product(2));
    });
}

/// Starts an upstream that sends a second answer to a request, some time after the first.
fn start_desynchronised(later: Duration) -> Scripted {
    Scripted::start(move |number, mut stream| {
        while read_request(&mut stream).is_some() {
            answer(&mut stream, number);
            sleep(later);
            answer(&mut stream, 1000);
        }
    })
}

#[test]
fn response_without_a_request_is_not_taken_for_the_next_one() {
    each_profile(|profile| {
        for later_ms in [0, 1, 5, 20] {
            let upstream = start_desynchronised(Duration::from_millis(later_ms));
            let target = target(profile, &upstream, "1");
            for id in 1..=5 {
                assert_eq!(target.get("/catalog").text(), product(id));
                sleep(ARRIVED);
            }
        }
    });
}

/// The runtime learns of received data when the worker waits. Here the worker does not wait between the
/// arrival of the second answer and the next call.
#[test]
fn response_that_arrived_while_the_worker_was_busy_is_not_taken_for_the_next_one() {
    each_profile(|profile| {
        for later_ms in [0, 1, 5, 20] {
            let upstream = start_desynchronised(Duration::from_millis(later_ms));
            let config = profile.config(&[("UPSTREAM_URL", &upstream.url())]);
            let runtime = Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let (index, count) = (0, NonZeroUsize::MIN);
                let state = AppState::new(&config, Worker { index, count }).unwrap();
                let router = target_axum::router(state);
                for id in 1..=5 {
                    let request = Request::get("/catalog").body(Body::empty()).unwrap();
                    let response = router.clone().oneshot(request).await.unwrap();
                    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
                    assert_eq!(body, product(id));
                    sleep(ARRIVED);
                }
            });
        }
    });
}

#[test]
fn answer_that_is_announced_as_too_long_is_refused_at_once() {
    each_profile(|profile| {
        let upstream = Scripted::start(|_, mut stream| {
            while read_request(&mut stream).is_some() {
                let head = "HTTP/1.1 200 OK\r\ncontent-length: 5242880\r\n\r\n";
                stream.write_all(head.as_bytes()).unwrap();
            }
        });
        let target = target(profile, &upstream, "64");
        assert_error(&target.get("/catalog"), ErrorCode::UpstreamUnavailable);
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
