//! The server with a service of the tests' own, asked over bare sockets.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use schema::limits;
use serve::{Background, ServeError, Server, Worker};
use testbed::raw::Connection;

const GET: &str = "GET / HTTP/1.1\r\nhost: server\r\n\r\n";

const LONG_BYTES: usize = 64 * 1024 * 1024;

/// What a deadline may be late on a busy machine.
const LATE: Duration = Duration::from_secs(3);

fn listener() -> TcpListener {
    serve::bind(Ipv4Addr::LOCALHOST.into(), 0).unwrap()
}

fn server(workers: usize) -> Server {
    Server::new(NonZeroUsize::new(workers).unwrap())
}

/// Starts a server that answers every request with its worker's index, or at `/slow` two seconds
/// later; at `/largest-piece` with the length of the largest piece in which the body came, at `/long`
/// with more than the sockets hold, and at `/broken` with an error.
fn start(server: Server) -> Background {
    let make_service = |worker: Worker| {
        Ok(tower::service_fn(
            move |request: Request<Incoming>| async move {
                let path = request.uri().path().to_owned();
                let mut number = worker.index;
                match &*path {
                    "/largest-piece" => number = largest_piece(request.into_body()).await,
                    "/slow" => tokio::time::sleep(Duration::from_secs(2)).await,
                    "/broken" => return Err(io::Error::other("broken")),
                    _ => {}
                }
                let body = match &*path {
                    "/long" => Bytes::from(vec![b'x'; LONG_BYTES]),
                    _ => number.to_string().into(),
                };
                Ok(Response::new(Full::new(body)))
            },
        ))
    };
    server.spawn(listener(), make_service).unwrap()
}

async fn largest_piece(mut body: Incoming) -> usize {
    let mut largest = 0;
    while let Some(frame) = body.frame().await {
        let piece = frame.unwrap().into_data().unwrap();
        largest = largest.max(piece.len());
    }
    largest
}

#[test]
fn connections_are_dealt_to_the_workers_in_turn() {
    let server = start(server(3));
    let mut connections: Vec<_> = (0..6)
        .map(|_| {
            let mut connection = Connection::open(server.address()).unwrap();
            let worker = connection.ask(GET).unwrap().text();
            (connection, worker)
        })
        .collect();
    let workers: Vec<_> = connections.iter().map(|(_, worker)| &**worker).collect();
    assert_eq!(workers, ["0", "1", "2", "0", "1", "2"]);
    for (connection, worker) in &mut connections {
        assert_eq!(
            connection.ask(GET).unwrap().text(),
            *worker,
            "a connection stays where it is"
        );
    }
}

#[test]
fn shares_add_up_to_the_whole() {
    for (total, count) in [(64, 1), (64, 2), (64, 3), (65, 64), (7, 7)] {
        let (total, count) = (
            NonZeroUsize::new(total).unwrap(),
            NonZeroUsize::new(count).unwrap(),
        );
        let shares = (0..count.get()).map(|index| Worker { index, count }.share(total));
        let shares: Vec<_> = shares.collect();
        assert_eq!(shares.iter().sum::<usize>(), total.get());
        assert!(shares[0] - shares[count.get() - 1] <= 1, "{shares:?}");
    }
}

#[test]
fn a_head_that_does_not_arrive_in_time_ends_the_connection() {
    let head_timeout = Duration::from_millis(300);
    let server = start(Server {
        head_timeout,
        ..server(1)
    });
    let opened = Instant::now();
    let mut silent = Connection::open(server.address()).unwrap();
    let mut slow = Connection::open(server.address()).unwrap();
    slow.send("GET / HT").unwrap();
    let mut idle = Connection::open(server.address()).unwrap();
    assert_eq!(idle.ask(GET).unwrap().status, 200);
    for connection in [&mut silent, &mut slow, &mut idle] {
        assert!(connection.closed().unwrap());
    }
    assert!(opened.elapsed() >= head_timeout);
    assert!(opened.elapsed() < head_timeout + LATE);
}

#[test]
fn an_answer_that_is_not_taken_in_time_ends_the_connection() {
    let head_timeout = Duration::from_millis(300);
    let server = start(Server {
        head_timeout,
        ..server(1)
    });
    let mut lazy = Connection::open(server.address()).unwrap();
    lazy.send(GET.replace(" / ", " /long ")).unwrap();
    thread::sleep(head_timeout * 3);
    assert!(lazy.answer().is_err());
}

#[test]
fn a_request_that_takes_longer_than_a_head_may_is_answered() {
    let server = start(Server {
        head_timeout: Duration::from_millis(300),
        ..server(1)
    });
    let mut patient = Connection::open(server.address()).unwrap();
    let answer = patient.ask(GET.replace(" / ", " /slow ")).unwrap();
    assert_eq!(answer.status, 200);
}

#[test]
fn connections_beyond_the_cap_wait_for_their_turn() {
    let server = start(Server {
        connections_max: 2,
        ..server(1)
    });
    let mut first = Connection::open(server.address()).unwrap();
    let mut second = Connection::open(server.address()).unwrap();
    let mut third = Connection::open(server.address()).unwrap();
    assert_eq!(first.ask(GET).unwrap().status, 200);
    assert_eq!(second.ask(GET).unwrap().status, 200);
    third.send(GET).unwrap();
    assert!(!third.readable_within(Duration::from_millis(300)).unwrap());
    drop(first);
    assert_eq!(third.answer().unwrap().status, 200);
}

#[test]
fn a_service_that_fails_resets_its_connection_alone() {
    let server = start(server(1));
    let mut broken = Connection::open(server.address()).unwrap();
    let mut whole = Connection::open(server.address()).unwrap();
    broken.send(GET.replace(" / ", " /broken ")).unwrap();
    assert!(!broken.closed().unwrap());
    assert_eq!(whole.ask(GET).unwrap().status, 200);
}

/// Connections that were made while a server stopped and got no answer.
fn unanswered_by_a_stop() -> usize {
    let server = start(server(2));
    let address = server.address();
    let clients: Vec<_> = (0..8)
        .map(|_| {
            thread::spawn(move || {
                let mut unanswered = 0;
                // Until nobody listens any more.
                while let Ok(mut connection) = Connection::open(address) {
                    let answer = connection.ask(GET);
                    unanswered += usize::from(answer.is_err());
                }
                unanswered
            })
        })
        .collect();
    thread::sleep(Duration::from_millis(50));
    server.stop().unwrap();
    clients
        .into_iter()
        .map(|client| client.join().unwrap())
        .sum()
}

#[test]
fn who_is_connected_when_the_stop_signal_comes_is_answered() {
    // One that comes between the last look at the backlog and the end of listening is lost: the
    // system has no way to end one and keep the other. Who does not look loses three with each stop.
    let unanswered: usize = (0..20).map(|_| unanswered_by_a_stop()).sum();
    assert!(unanswered <= 8, "{unanswered}");
}

#[test]
fn a_body_is_read_ahead_of_the_service_in_bounded_pieces() {
    let server = start(server(1));
    let body = vec![b'x'; 4 * 1024 * 1024];
    let head = format!(
        "POST /largest-piece HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let mut connection = Connection::open(server.address()).unwrap();
    let answer = connection.ask([head.as_bytes(), &body].concat()).unwrap();
    let largest: usize = answer.text().parse().unwrap();
    assert!((8 * 1024..=64 * 1024).contains(&largest), "{largest}");
}

#[test]
fn a_head_that_names_no_host_or_another_coding_never_reaches_the_service() {
    let server = start(server(1));
    for head in [
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    ] {
        let mut connection = Connection::open(server.address()).unwrap();
        let answer = connection.ask(format!("{head}{GET}")).unwrap();
        assert_eq!((answer.status, answer.text().as_str()), (400, ""), "{head}");
        assert!(connection.closed().unwrap());
    }
    let mut old = Connection::open(server.address()).unwrap();
    assert_eq!(old.ask("GET / HTTP/1.0\r\n\r\n").unwrap().status, 200);
}

#[test]
fn a_client_that_never_reads_is_read_from_no_more() {
    const MANY: usize = 64 * 1024 * 1024;
    let server = start(server(1));
    let mut greedy = Connection::open_within(server.address(), Duration::from_secs(1)).unwrap();
    let requests = GET.repeat(1000);
    let mut sent = 0;
    while sent < MANY && greedy.send(&requests).is_ok() {
        sent += requests.len();
    }
    assert!(
        sent < MANY,
        "all was read, and its answers are kept somewhere"
    );
    let mut other = Connection::open(server.address()).unwrap();
    assert_eq!(other.ask(GET).unwrap().status, 200);
}

#[test]
fn a_drain_ends_at_its_bound_whatever_is_in_flight() {
    let server = start(Server {
        drain_timeout: Duration::from_millis(300),
        ..server(2)
    });
    let mut slow = Connection::open(server.address()).unwrap();
    slow.send(GET.replace(" / ", " /slow ")).unwrap();
    thread::sleep(Duration::from_millis(100));
    let stopped = Instant::now();
    server.stop().unwrap();
    assert!(stopped.elapsed() >= Duration::from_millis(300));
    assert!(stopped.elapsed() < Duration::from_millis(1500));
    assert!(slow.answer().is_err());
}

#[test]
fn a_service_that_cannot_be_made_is_told_and_nothing_is_served() {
    let listener = listener();
    let address = listener.local_addr().unwrap();
    let made = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&made);
    let make_service = move |worker: Worker| {
        counted.fetch_add(1, Ordering::SeqCst);
        match worker.index {
            0 => Ok(tower::service_fn(|_: Request<Incoming>| async {
                Ok::<_, Infallible>(Response::new(Full::new(Bytes::new())))
            })),
            _ => Err("no second worker".into()),
        }
    };
    let error = server(2)
        .spawn(listener, make_service)
        .unwrap()
        .stop()
        .unwrap_err();
    assert!(matches!(error, ServeError::Service(_)));
    assert_eq!(error.to_string(), "cannot start: no second worker");
    assert_eq!(made.load(Ordering::SeqCst), 2);
    assert!(Connection::open(address).is_err());
}

#[test]
fn a_probe_passes_on_200_alone() {
    let server = start(server(1));
    let (host, port) = (server.address().ip(), server.address().port());
    assert!(serve::probe(host, port, "/").is_ok());
    assert!(serve::probe(Ipv4Addr::UNSPECIFIED.into(), port, "/").is_ok());
    assert!(serve::probe(host, port, "/broken").is_err());
    server.stop().unwrap();
    assert!(serve::probe(host, port, "/").is_err());
}

#[test]
fn the_contract_and_the_page_on_security_state_the_bounds() {
    let contract = include_str!("../../../docs/CONTRACT.md");
    let security = include_str!("../../../SECURITY.md").replace("\n  ", " ");
    let server = server(1);
    for sentence in [
        format!(
            "A head must be in within {} s, a body within {} s",
            server.head_timeout.as_secs(),
            limits::REQUEST_BODY_TIMEOUT.as_secs()
        ),
        format!("a body {} KiB", limits::REQUEST_BODY_MAX_BYTES / 1024),
        "16,384 at most".to_owned(),
        // As `a_body_is_read_ahead_of_the_service_in_bounded_pieces` has it.
        "64 KiB at most are read ahead".to_owned(),
    ] {
        assert!(security.contains(&sentence), "{sentence}");
    }
    let head_timeout = format!("within {} s", server.head_timeout.as_secs());
    assert!(contract.contains(&head_timeout), "{head_timeout}");
    assert!(contract.contains("the cap (16,384,"));
    assert!((1..=16_384).contains(&server.connections_max));
}
