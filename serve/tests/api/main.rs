//! Runs the server with a service of these tests, over bare sockets.
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
use serve::{Background, RequestBody, ServeError, Server, Worker};
use testbed::raw::Connection;

const GET: &str = "GET / HTTP/1.1\r\nhost: server\r\n\r\n";

/// More than the buffers of two sockets hold.
const LONG_BYTES: usize = 64 * 1024 * 1024;

const HEAD_TIMEOUT: Duration = Duration::from_millis(300);

/// Delay of a deadline on a busy machine.
const LATE: Duration = Duration::from_secs(3);

fn listener() -> TcpListener {
    serve::bind(Ipv4Addr::LOCALHOST.into(), 0).unwrap()
}

fn server(workers: usize) -> Server {
    Server::new(NonZeroUsize::new(workers).unwrap())
}

fn get(path: &str) -> String {
    GET.replace(" / ", &format!(" {path} "))
}

fn open(server: &Background) -> Connection {
    Connection::open(server.address()).unwrap()
}

/// Starts a server that answers with its worker's index: at `/slow` two seconds later. `/largest-piece` answers
/// with the length of the body's largest piece, `/long` with [`LONG_BYTES`], `/broken` with an error.
fn start(server: Server) -> Background {
    let make_service = |worker: Worker| {
        Ok(tower::service_fn(
            move |request: Request<RequestBody>| async move {
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

async fn largest_piece(mut body: RequestBody) -> usize {
    let mut largest = 0;
    while let Some(frame) = body.frame().await {
        largest = largest.max(frame.unwrap().into_data().unwrap().len());
    }
    largest
}

#[test]
fn connections_are_dispatched_round_robin_and_stay_with_their_worker() {
    let server = start(server(3));
    let mut connections: Vec<_> = (0..6).map(|_| open(&server)).collect();
    for _ in 0..2 {
        let ask = |connection: &mut Connection| connection.ask(GET).unwrap().text();
        let workers: Vec<_> = connections.iter_mut().map(ask).collect();
        assert_eq!(workers, ["0", "1", "2", "0", "1", "2"]);
    }
}

#[test]
fn worker_shares_add_up_to_the_total() {
    for (total, count) in [(64, 1), (64, 2), (64, 3), (65, 64), (7, 7)] {
        let total = NonZeroUsize::new(total).unwrap();
        let count = NonZeroUsize::new(count).unwrap();
        let shares = (0..count.get()).map(|index| Worker { index, count }.share(total));
        let shares: Vec<_> = shares.collect();
        assert_eq!(shares.iter().sum::<usize>(), total.get());
        assert!(shares[0] - shares[count.get() - 1] <= 1, "{shares:?}");
    }
}

#[test]
fn connection_without_a_complete_head_is_closed_after_the_timeout() {
    let server = start(Server {
        head_timeout: HEAD_TIMEOUT,
        ..server(1)
    });
    let opened = Instant::now();
    let mut silent = open(&server);
    let mut slow = open(&server);
    slow.send("GET / HT").unwrap();
    let mut idle = open(&server);
    assert_eq!(idle.ask(GET).unwrap().status, 200);
    for connection in [&mut silent, &mut slow, &mut idle] {
        assert!(connection.closed().unwrap());
    }
    assert!(opened.elapsed() >= HEAD_TIMEOUT);
    assert!(opened.elapsed() < HEAD_TIMEOUT + LATE);
}

#[test]
fn connection_with_an_unread_answer_is_closed_after_the_timeout() {
    let server = start(Server {
        head_timeout: HEAD_TIMEOUT,
        ..server(1)
    });
    let mut lazy = open(&server);
    lazy.send(get("/long")).unwrap();
    thread::sleep(HEAD_TIMEOUT * 3);
    assert!(lazy.answer().is_err());
}

#[test]
fn request_slower_than_the_head_timeout_is_answered() {
    let server = start(Server {
        head_timeout: HEAD_TIMEOUT,
        ..server(1)
    });
    assert_eq!(open(&server).ask(get("/slow")).unwrap().status, 200);
}

#[test]
fn connection_beyond_the_limit_waits_for_a_permit() {
    let server = start(Server {
        connections_max: 2,
        ..server(1)
    });
    let [mut first, mut second, mut third] = [(); 3].map(|()| open(&server));
    assert_eq!(first.ask(GET).unwrap().status, 200);
    assert_eq!(second.ask(GET).unwrap().status, 200);
    third.send(GET).unwrap();
    assert!(!third.readable_within(Duration::from_millis(300)).unwrap());
    drop(first);
    assert_eq!(third.answer().unwrap().status, 200);
}

/// Returns the head of a request whose body the service does not read.
fn post(headers: &str) -> String {
    format!("POST / HTTP/1.1\r\nhost: server\r\n{headers}\r\n\r\n")
}

#[test]
fn small_rest_of_an_unread_body_is_discarded() {
    let server = start(server(1));
    let mut connection = open(&server);
    let answer = connection.ask(post("content-length: 60000")).unwrap();
    assert_eq!(answer.header("connection"), None);
    connection.send(vec![b'x'; 60_000]).unwrap();
    assert_eq!(connection.ask(GET).unwrap().status, 200);
}

#[test]
fn long_rest_of_an_unread_body_closes_the_connection_after_the_answer() {
    let server = start(server(1));
    let length = "content-length: 1000000";
    for headers in [
        length,
        "transfer-encoding: chunked",
        &format!("{length}\r\nconnection: upgrade\r\nupgrade: websocket"),
    ] {
        let mut connection = open(&server);
        connection.send(post(headers)).unwrap();
        // More than hyper reads: closing at once would reset the connection, and the answer with it.
        connection.send("x".repeat(200_000)).unwrap();
        thread::sleep(Duration::from_millis(300));
        let answer = connection.answer().unwrap();
        assert_eq!(answer.header("connection"), Some("close"), "{headers}");
        assert!(connection.closed().unwrap(), "{headers}");
    }
}

#[test]
fn client_that_closes_its_side_behind_a_request_is_answered() {
    let server = start(server(1));
    let mut connection = open(&server);
    connection.send(get("/slow")).unwrap();
    connection.finish_sending().unwrap();
    assert_eq!(connection.answer().unwrap().status, 200);
    assert!(connection.closed().unwrap());
}

#[test]
fn failed_service_resets_only_its_own_connection() {
    let server = start(server(1));
    let [mut broken, mut intact] = [(); 2].map(|()| open(&server));
    broken.send(get("/broken")).unwrap();
    assert!(!broken.closed().unwrap());
    assert_eq!(intact.ask(GET).unwrap().status, 200);
}

#[test]
fn busy_connections_lose_no_request_when_the_server_stops() {
    let server = start(server(2));
    let client = |mut connection: Connection| {
        move || loop {
            match connection.ask(GET) {
                Ok(answer) if answer.header("connection") == Some("close") => return true,
                Ok(_) => {}
                Err(_) => return false,
            }
        }
    };
    let clients = [(); 16].map(|()| thread::spawn(client(open(&server))));
    thread::sleep(Duration::from_millis(100));
    server.stop().unwrap();
    let announced = clients.map(|client| client.join().unwrap());
    let lost = announced.iter().filter(|announced| !**announced).count();
    // A client that the system does not run for 40 ms is idle to the server.
    assert!(lost <= 4, "{lost}");
}

/// Stops a server under load, and returns the number of connections that got no answer.
fn unanswered_by_a_stop() -> usize {
    let server = start(server(2));
    let address = server.address();
    let client = move || {
        let mut unanswered = 0;
        while let Ok(mut connection) = Connection::open(address) {
            unanswered += usize::from(connection.ask(GET).is_err());
        }
        unanswered
    };
    let clients = [(); 8].map(|()| thread::spawn(client));
    thread::sleep(Duration::from_millis(50));
    server.stop().unwrap();
    clients.map(|client| client.join().unwrap()).iter().sum()
}

#[test]
fn connected_clients_are_answered_when_the_server_stops() {
    // A connection that is established between the last look at the backlog and the close of the listener is
    // lost: the system cannot refuse new connections and keep established ones. A server that ignores its
    // backlog loses three at each stop.
    let unanswered: usize = (0..20).map(|_| unanswered_by_a_stop()).sum();
    assert!(unanswered <= 8, "{unanswered}");
}

#[test]
fn request_body_is_read_ahead_in_bounded_pieces() {
    let server = start(server(1));
    let body = vec![b'x'; 4 * 1024 * 1024];
    let head = format!(
        "POST /largest-piece HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let answer = open(&server).ask([head.as_bytes(), &body].concat());
    let largest: usize = answer.unwrap().text().parse().unwrap();
    assert!((8 * 1024..=64 * 1024).contains(&largest), "{largest}");
}

#[test]
fn invalid_head_is_refused_and_closes_the_connection() {
    let server = start(server(1));
    for head in [
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    ] {
        let mut connection = open(&server);
        let answer = connection.ask(format!("{head}{GET}")).unwrap();
        assert_eq!((answer.status, answer.text().as_str()), (400, ""), "{head}");
        assert!(connection.closed().unwrap());
    }
    let old = open(&server).ask("GET / HTTP/1.0\r\n\r\n").unwrap();
    assert_eq!(old.status, 200);
}

#[test]
fn client_that_never_reads_is_not_read_from_without_limit() {
    let server = start(server(1));
    let mut greedy = Connection::open_within(server.address(), Duration::from_secs(1)).unwrap();
    let requests = GET.repeat(1000);
    let mut sent = 0;
    while sent < LONG_BYTES && greedy.send(&requests).is_ok() {
        sent += requests.len();
    }
    assert!(sent < LONG_BYTES, "every request was read");
    assert_eq!(open(&server).ask(GET).unwrap().status, 200);
}

#[test]
fn drain_ends_at_its_timeout_with_requests_in_flight() {
    let server = start(Server {
        drain_timeout: Duration::from_millis(300),
        ..server(2)
    });
    let mut slow = open(&server);
    slow.send(get("/slow")).unwrap();
    thread::sleep(Duration::from_millis(100));
    let stopped = Instant::now();
    server.stop().unwrap();
    assert!(stopped.elapsed() >= Duration::from_millis(300));
    assert!(stopped.elapsed() < Duration::from_millis(1500));
    assert!(slow.answer().is_err());
}

#[test]
fn service_that_cannot_be_made_stops_the_server_before_it_serves() {
    let listener = listener();
    let address = listener.local_addr().unwrap();
    let made = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&made);
    let make_service = move |worker: Worker| {
        counter.fetch_add(1, Ordering::SeqCst);
        match worker.index {
            0 => Ok(tower::service_fn(|_: Request<RequestBody>| async {
                Ok::<_, Infallible>(Response::new(Full::new(Bytes::new())))
            })),
            _ => Err("no second worker".into()),
        }
    };
    let server = server(2).spawn(listener, make_service).unwrap();
    let error = server.stop().unwrap_err();
    assert!(matches!(error, ServeError::Service(_)));
    assert_eq!(error.to_string(), "cannot start: no second worker");
    assert_eq!(made.load(Ordering::SeqCst), 2);
    assert!(Connection::open(address).is_err());
}

#[test]
fn probe_passes_only_on_200() {
    let server = start(server(1));
    let (host, port) = (server.address().ip(), server.address().port());
    assert!(serve::probe(host, port, "/").is_ok());
    assert!(serve::probe(Ipv4Addr::UNSPECIFIED.into(), port, "/").is_ok());
    assert!(serve::probe(host, port, "/broken").is_err());
    server.stop().unwrap();
    assert!(serve::probe(host, port, "/").is_err());
}
