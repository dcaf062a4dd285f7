//! Many clients on few backend connections, and requests in pieces.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use testbed::postgres::TemporaryPostgres;

use crate::suite::{Ceiling, get, post_movie, start_upstream};

const PAUSE: Duration = Duration::from_millis(20);

fn requests() -> [(String, u16); 4] {
    [
        (get("/info"), 200),
        (post_movie("{}"), 201),
        (get("/catalog"), 200),
        (get("/users/me"), 200),
    ]
}

#[test]
fn more_clients_than_backend_connections_are_served_at_once() {
    let ceiling = Ceiling::start();
    let mut clients: Vec<_> = (0..100).map(|_| ceiling.connect()).collect();
    for (request, status) in requests() {
        for client in &mut clients {
            client.send(&request).unwrap();
        }
        for client in &mut clients {
            assert_eq!(client.answer().unwrap().status, status, "{request}");
        }
    }
}

#[test]
fn requests_in_pieces_and_in_one_segment_are_answered_in_order() {
    let ceiling = Ceiling::start();
    for (request, status) in requests() {
        let end = request.len();
        let mut client = ceiling.connect();
        for cut in [1, end / 2, end - 1] {
            client.send(&request[..cut]).unwrap();
            thread::sleep(PAUSE);
            assert_eq!(client.ask(&request[cut..]).unwrap().status, status);
        }
    }
    let mut client = ceiling.connect();
    let segment: String = requests().map(|(request, _)| request).concat();
    client.send(segment.repeat(2)).unwrap();
    for (request, status) in requests().iter().chain(&requests()) {
        assert_eq!(client.answer().unwrap().status, *status, "{request}");
    }
}

#[test]
fn pool_opens_no_more_connections_than_its_size() {
    const SIZE: usize = 3;
    const ANSWER: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
    let upstream = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", upstream.local_addr().unwrap());
    let size = SIZE.to_string();
    let variables = [("UPSTREAM_URL", &*url), ("UPSTREAM_POOL_SIZE", &size)];
    let ceiling = Ceiling::start_with(1, &variables);
    let mut clients: Vec<_> = (0..10).map(|_| ceiling.connect()).collect();
    for client in &mut clients {
        client.send(get("/catalog")).unwrap();
    }
    let connections = [(); SIZE].map(|()| upstream.accept().unwrap().0);
    thread::sleep(PAUSE);
    upstream.set_nonblocking(true).unwrap();
    assert_eq!(upstream.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    for mut connection in connections {
        thread::spawn(move || {
            let mut request = [0; 4096];
            while let Ok(1..) = connection.read(&mut request) {
                connection.write_all(ANSWER.as_bytes()).unwrap();
            }
        });
    }
    for client in &mut clients {
        assert_eq!(client.answer().unwrap().text(), "{}");
    }
}

#[test]
fn clients_that_close_early_release_their_backend_connections() {
    let upstream = start_upstream(0);
    let url = format!("http://{}/faults/delay-300", upstream.address());
    let variables = [
        ("UPSTREAM_URL", url.as_str()),
        ("UPSTREAM_POOL_SIZE", "2"),
        ("DB_POOL_SIZE", "2"),
    ];
    let postgres = TemporaryPostgres::start().unwrap();
    let ceiling = Ceiling::start_with(postgres.port(), &variables);
    for path in ["/catalog", "/users/me"] {
        let mut clients: Vec<_> = (0..10).map(|_| ceiling.connect()).collect();
        for client in &mut clients {
            client.send(get(path)).unwrap();
        }
        drop(clients);
        assert_eq!(ceiling.get(path).status, 200, "{path}");
    }
}

#[test]
fn endless_request_closes_its_connection() {
    let ceiling = Ceiling::start();
    let mut client = ceiling.connect();
    // The connection is closed before all of it is read.
    let _ = client.send(vec![b'a'; 1024 * 1024]);
    assert!(client.answer().is_err());
    assert_eq!(ceiling.get("/info").status, 200);
}
