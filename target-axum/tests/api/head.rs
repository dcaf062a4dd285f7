//! The head of a request on the wire, over bare sockets.

use schema::{ErrorCode, fixtures};

use crate::suite::{assert_error, each_profile, get, get_me, movie, post_movie, request};

const INFO: &str = "GET /info HTTP/1.1\r\nhost: target\r\n\r\n";

/// Returns `GET /info` with these lines after the first one.
fn with_lines(lines: &str) -> String {
    format!("GET /info HTTP/1.1\r\n{lines}\r\n\r\n")
}

/// Asserts that each request is refused without a body, and that its connection closes.
fn assert_refused(status: u16, requests: &[String]) {
    each_profile(|profile| {
        let target = profile.start();
        for bytes in requests {
            let mut connection = target.connect();
            let answer = connection.ask(bytes).unwrap();
            let length = answer.body.len();
            assert_eq!((answer.status, length), (status, 0), "{bytes:.200?}");
            assert_eq!(answer.header("connection"), Some("close"), "{bytes:.200?}");
            assert!(connection.closed().unwrap(), "{bytes:.200?}");
        }
        assert_eq!(target.get("/info").status, 200);
    });
}

/// Asserts that each request is answered, and another one on the same connection.
fn assert_answered(cases: &[(u16, String)]) {
    each_profile(|profile| {
        let target = profile.start();
        for (status, bytes) in cases {
            let mut connection = target.connect();
            assert_eq!(
                connection.ask(bytes).unwrap().status,
                *status,
                "{bytes:.200?}"
            );
            assert_eq!(connection.ask(INFO).unwrap().status, 200, "{bytes:.200?}");
        }
    });
}

#[test]
fn invalid_head_is_refused() {
    assert_refused(
        400,
        &[
            "nonsense\r\n\r\n".to_owned(),
            with_lines("host: target\r\nbad header"),
            with_lines("host: target\r\nx: a\r\n b"),
            with_lines(" host: target"),
            with_lines("host: target\r\nx: a\rb"),
            "GET /info HTTP/1.1\rhost: target\r\n\r\n".to_owned(),
            with_lines("host: target\r\nx: a\0b"),
            with_lines("host: target\r\nx\0: a"),
            INFO.replace("/info", "/in\0fo"),
            with_lines("host: target\r\nx y: a"),
            with_lines("host : target"),
            with_lines("host: target\r\n: a"),
            INFO.replace("GET ", "GET  "),
            INFO.replace(' ', "\t"),
            INFO.replace("1.1", "1.2"),
            INFO.replace("1.1", "3"),
            "GET /info\r\n\r\n".to_owned(),
            "\u{16}\u{3}\u{1}\u{2}\0\u{1}\0".to_owned(),
            with_lines("x: a"),
            with_lines("host: target\r\nhost: other"),
            with_lines("host: target\r\nhost: target"),
            with_lines("host: a b/"),
            with_lines("host: user@target"),
            with_lines("host: [::1"),
            with_lines("host: a:80:90"),
            with_lines("host: a:x"),
            with_lines("host: %zz"),
            // HTTP/2 with prior knowledge (RFC 9113, 3.4).
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
        ],
    );
}

#[test]
fn unusual_but_valid_head_is_answered() {
    let upgrade = "host: target\r\nconnection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk";
    assert_answered(&[
        // RFC 9112, 2.2: a recipient may accept LF as the end of a line, and ignores empty lines.
        (200, INFO.replace("\r\n", "\n")),
        (200, format!("\r\n\r\n{INFO}")),
        (200, with_lines("host:")),
        (200, INFO.replace("/info", "http://other/info")),
        (404, INFO.replace("GET /info", "OPTIONS *")),
        (404, INFO.replace("/info", "info")),
        (404, INFO.replace("GET /info", "CONNECT target:80")),
        (405, INFO.replace("GET", "get")),
        // No connection becomes another protocol.
        (
            200,
            with_lines("host: target\r\nconnection: upgrade\r\nupgrade: websocket"),
        ),
        (200, with_lines(upgrade)),
    ]);
}

#[test]
fn head_at_the_limits_is_answered_and_one_beyond_them_refused() {
    let headers = |count: usize| {
        let lines: String = (1..count).map(|index| format!("x{index}: a\r\n")).collect();
        with_lines(&format!("{lines}host: target"))
    };
    let path = |length: usize| INFO.replace("/info", &format!("/{}", "a".repeat(length)));
    assert_answered(&[(200, headers(100)), (404, path(15_000))]);
    let long = with_lines(&format!("host: target\r\nx: {}", "x".repeat(20_000)));
    assert_refused(431, &[headers(101), path(20_000), long]);
}

#[test]
fn pipelined_requests_are_answered_in_order_until_an_invalid_one() {
    each_profile(|profile| {
        let target = profile.start();
        let mut connection = target.connect();
        let movie = String::from_utf8(post_movie(&[], movie())).unwrap();
        let unknown = get("/unknown");
        let catalog = get("/catalog");
        let invalid = "nonsense\r\n\r\n";
        connection
            .send(
                [
                    &*get_me(),
                    &movie,
                    &unknown,
                    &catalog,
                    &get_me(),
                    invalid,
                    INFO,
                ]
                .concat(),
            )
            .unwrap();
        let profile = serde_json::to_string(&fixtures::profile()).unwrap();
        assert_eq!(connection.answer().unwrap().text(), profile);
        assert_eq!(connection.answer().unwrap().status, 201);
        assert_error(&connection.answer().unwrap(), ErrorCode::NotFound);
        assert_eq!(connection.answer().unwrap().text(), fixtures::PRODUCT_JSON);
        assert_eq!(connection.answer().unwrap().text(), profile);
        assert_eq!(connection.answer().unwrap().status, 400);
        assert!(connection.closed().unwrap());
    });
}

#[test]
fn http_1_0_is_answered_and_closed() {
    each_profile(|profile| {
        let target = profile.start();
        let mut connection = target.connect();
        let answer = connection.ask("GET /info HTTP/1.0\r\n\r\n").unwrap();
        assert_eq!(answer.status, 200);
        assert!(connection.closed().unwrap());
        // A body of GET is ignored.
        let mut connection = target.connect();
        for body in ["ignored", ""] {
            let answer = connection.ask(request("GET", "/info", &[], body)).unwrap();
            assert_eq!(answer.status, 200);
        }
    });
}
