//! The harness sends the four measured requests byte for byte as k6 does: a contender cannot tell a
//! check from a measurement.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::thread;
use std::time::Duration;

use conformance::{Level, Options, Secrets, Subject, Target};
use glob::Pattern;
use schema::{env, fixtures};

/// Returns what k6 1.1.0 sends in the four scenarios of the public harness, as it was recorded; only
/// the port and the token are replaced.
fn recorded(check: &str, host: SocketAddr) -> String {
    let agent = "User-Agent: Grafana k6/1.1.0";
    let token = testbed::token::sign(&fixtures::claims(), env::bench_value(&env::JWT_SECRET));
    match check {
        "info/200" => format!("GET /info HTTP/1.1\r\nHost: {host}\r\n{agent}\r\n\r\n"),
        "movies/201" => format!(
            "POST /movies HTTP/1.1\r\nHost: {host}\r\n{agent}\r\nContent-Length: 99\r\n\
             Authorization: Bearer {token}\r\nContent-Type: application/json\r\n\r\n\
             {{\"title\":\"Blade Runner 2049\",\"year\":2017,\"director\":\"Denis Villeneuve\",\"genre\":\"Sci-Fi\",\"rating\":8}}"
        ),
        "catalog/200" => format!("GET /catalog HTTP/1.1\r\nHost: {host}\r\n{agent}\r\n\r\n"),
        "users-me/200" => format!(
            "GET /users/me HTTP/1.1\r\nHost: {host}\r\n{agent}\r\nAuthorization: Bearer {token}\r\n\r\n"
        ),
        other => unreachable!("{other} is not a scenario"),
    }
}

#[test]
fn measured_requests_are_those_of_k6() {
    for check in ["info/200", "movies/201", "catalog/200", "users-me/200"] {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let recorder = thread::spawn(move || first_request(&listener));
        let options = Options {
            only: vec![Pattern::new(check).unwrap()],
            ..Options::all_of(Level::Core)
        };
        let subject = Subject::new(Target::local(address), Secrets::bench(), None, None);
        conformance::run(subject, &options).unwrap();
        let sent = recorder.join().unwrap();
        assert_eq!(sent, recorded(check, address), "{check}");
    }
}

/// Reads the first request until nothing more comes, and responds with something.
fn first_request(listener: &TcpListener) -> String {
    let (mut client, _) = listener.accept().unwrap();
    let timeout = Some(Duration::from_millis(300));
    client.set_read_timeout(timeout).unwrap();
    let mut request = Vec::new();
    let mut part = [0; 4096];
    while let Ok(length @ 1..) = client.read(&mut part) {
        request.extend_from_slice(&part[..length]);
    }
    let response = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
    client.write_all(response).unwrap();
    String::from_utf8(request).unwrap()
}
