//! Many connections, few links, and requests that come in pieces.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use crate::suite::{Limit, get, post_movie, start_upstream};

const PIECE_PAUSE: Duration = Duration::from_millis(20);

#[test]
fn a_hundred_connections_are_served_at_once_over_sixty_four_links() {
    const CONNECTIONS: usize = 100;
    let limit = Limit::start();
    let mut connections: Vec<_> = (0..CONNECTIONS).map(|_| limit.connect()).collect();
    for round in 0..3 {
        let movie = post_movie("{}");
        let asked = [
            (get("/info"), 200),
            (movie, 201),
            (get("/catalog"), 200),
            (get("/users/me"), 200),
        ];
        for (request, status) in asked {
            for connection in &mut connections {
                connection.send(&request).unwrap();
            }
            for connection in &mut connections {
                let answer = connection.answer().unwrap();
                assert_eq!(answer.status, status, "round {round}: {request}");
            }
        }
    }
}

#[test]
fn a_request_may_come_in_pieces() {
    let limit = Limit::start();
    for (request, status) in [
        (get("/info"), 200),
        (get("/users/me"), 200),
        (get("/catalog"), 200),
        (post_movie("{\"title\":\"Arrival\"}"), 201),
    ] {
        let end = request.len();
        let mut connection = limit.connect();
        for cut in [1, end / 2, end - 2, end - 1] {
            connection.send(&request[..cut]).unwrap();
            thread::sleep(PIECE_PAUSE);
            assert_eq!(connection.ask(&request[cut..]).unwrap().status, status);
        }
    }
}

#[test]
fn requests_that_come_together_are_answered_in_their_order() {
    let limit = Limit::start();
    let mut connection = limit.connect();
    let movie = post_movie("{}");
    let requests = [&get("/users/me"), &get("/info"), &movie, &get("/catalog")];
    connection
        .send(requests.map(String::as_str).concat())
        .unwrap();
    for status in [200, 200, 201, 200] {
        assert_eq!(connection.answer().unwrap().status, status);
    }
}

#[test]
fn a_pool_has_no_more_links_than_it_may() {
    const LINKS: usize = 3;
    const CLIENTS: usize = 10;
    const ANSWER: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
    let upstream = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", upstream.local_addr().unwrap());
    let size = LINKS.to_string();
    let limit = Limit::with(1, &[("UPSTREAM_URL", &url), ("UPSTREAM_POOL_SIZE", &size)]);
    let mut clients: Vec<_> = (0..CLIENTS).map(|_| limit.connect()).collect();
    for client in &mut clients {
        client.send(get("/catalog")).unwrap();
    }
    let links: Vec<_> = (0..LINKS).map(|_| upstream.accept().unwrap().0).collect();
    thread::sleep(PIECE_PAUSE);
    upstream.set_nonblocking(true).unwrap();
    assert_eq!(upstream.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    for mut link in links {
        thread::spawn(move || {
            let mut question = [0; 4096];
            while let Ok(1..) = link.read(&mut question) {
                link.write_all(ANSWER.as_bytes()).unwrap();
            }
        });
    }
    for client in &mut clients {
        assert_eq!(client.answer().unwrap().text(), "{}");
    }
}

#[test]
fn clients_that_go_away_cost_no_link() {
    let upstream = start_upstream(0);
    let url = format!("http://{}/faults/delay-300", upstream.address());
    let variables = [
        ("UPSTREAM_URL", url.as_str()),
        ("UPSTREAM_POOL_SIZE", "2"),
        ("DB_POOL_SIZE", "2"),
    ];
    let postgres = testbed::postgres::TemporaryPostgres::start().unwrap();
    let limit = Limit::with(postgres.port(), &variables);
    for path in ["/catalog", "/users/me"] {
        let mut gone: Vec<_> = (0..10).map(|_| limit.connect()).collect();
        for connection in &mut gone {
            connection.send(get(path)).unwrap();
        }
        drop(gone);
        assert_eq!(limit.get(path).status, 200, "{path}");
    }
}

#[test]
fn a_request_without_an_end_is_not_read_for_ever() {
    let limit = Limit::start();
    let mut connection = limit.connect();
    let endless = vec![b'a'; 1024 * 1024];
    // The limit closes before it has read all of it.
    let _ = connection.send(&endless);
    assert!(connection.answer().is_err());
    assert_eq!(limit.get("/info").status, 200);
}
