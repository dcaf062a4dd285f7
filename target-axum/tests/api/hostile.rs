//! Requests whose end or whose host is not certain, over bare sockets: what one server takes for
//! the end of a request another may take for the middle (RFC 9112, 11.2). Where it is not certain the
//! connection closes, so that nothing after it passes for a request.

use schema::{ErrorCode, fixtures};

use crate::suite::{JSON, Target, assert_error, authorization, request};

/// A request that would be answered if it were taken for one.
const NEXT: &str = "GET /info HTTP/1.1\r\nhost: target\r\n\r\n";

fn movie() -> String {
    serde_json::to_string(&fixtures::new_movie()).unwrap()
}

/// `POST /movies` with these header lines, this body as it is, and another request behind it.
fn post(headers: &str, body: &str) -> String {
    let token = authorization(&fixtures::claims());
    let head = format!("POST /movies HTTP/1.1\r\nhost: target\r\n{token}\r\n{JSON}\r\n");
    format!("{head}{headers}\r\n\r\n{body}{NEXT}")
}

/// The movie in one chunk whose line begins with this size.
fn chunk(size: &str) -> String {
    format!("{size}\r\n{}\r\n0\r\n\r\n", movie())
}

fn size() -> String {
    format!("{:x}", movie().len())
}

/// `GET /info` with these lines after the first.
fn get(lines: &str) -> String {
    format!("GET /info HTTP/1.1\r\n{lines}\r\n\r\n")
}

/// The status of the first answer, and whether the connection closes after it.
fn asked(target: &Target, bytes: impl AsRef<[u8]>) -> (u16, bool) {
    let mut connection = target.connect();
    let answer = connection.ask(bytes).unwrap();
    let closes = answer.header("connection") == Some("close");
    if closes {
        assert!(connection.closed().unwrap(), "it says so and does so");
    }
    (answer.status, closes)
}

/// Fails unless each is refused without another answer.
#[track_caller]
fn assert_refused(cases: &[(&str, String)], status: u16) {
    let target = Target::start();
    for (name, bytes) in cases {
        assert_eq!(asked(&target, bytes), (status, true), "{name}");
    }
    assert_eq!(target.get("/info").status, 200, "it still serves");
}

/// Fails unless each is answered and the connection stays of use.
#[track_caller]
fn assert_answered(cases: &[(&str, String)], status: u16) {
    let target = Target::start();
    for (name, bytes) in cases {
        let mut connection = target.connect();
        assert_eq!(connection.ask(bytes).unwrap().status, status, "{name}");
        let rest = bytes.starts_with("POST");
        let next = if rest { "" } else { NEXT };
        assert_eq!(connection.ask(next).unwrap().status, 200, "{name}");
    }
}

#[test]
fn a_length_that_is_not_one_number_is_refused() {
    let length = movie().len();
    let cases = [
        (
            "two that differ",
            format!("content-length: {length}\r\ncontent-length: 3"),
        ),
        ("a list", format!("content-length: {length}, {length}")),
        ("a sign", format!("content-length: +{length}")),
        ("negative", "content-length: -1".to_owned()),
        ("hexadecimal", "content-length: 0x3c".to_owned()),
        ("two numbers", format!("content-length: {length} 1")),
        ("none", "content-length:".to_owned()),
        (
            "too large for any number",
            "content-length: 99999999999999999999999".to_owned(),
        ),
        (
            "a space before the colon",
            format!("content-length : {length}"),
        ),
    ];
    assert_refused(
        &cases.map(|(name, line)| (name, post(&line, &movie()))),
        400,
    );
}

#[test]
fn another_coding_than_chunks_is_refused() {
    let codings = [
        "identity",
        "xchunked",
        "gzip, chunked",
        "chunked, gzip",
        "chunked, chunked",
        "\u{b}chunked",
        "chunked\r\ntransfer-encoding: identity",
        "chunked\r\ntransfer-encoding: chunked",
    ];
    let case = |coding| {
        let line = format!("transfer-encoding: {coding}");
        (coding, post(&line, &chunk(&size())))
    };
    assert_refused(&codings.map(case), 400);
    let space = post("transfer-encoding : chunked", &chunk(&size()));
    let old = post("transfer-encoding: chunked", &chunk(&size()));
    let old = old.replacen("HTTP/1.1", "HTTP/1.0", 1);
    assert_refused(&[("a space", space), ("HTTP/1.0", old)], 400);
}

#[test]
fn both_a_length_and_chunks_are_read_as_chunks_and_nothing_after_them() {
    let target = Target::start();
    let (chunked, length) = ("transfer-encoding: chunked", "content-length: 4");
    for headers in [
        format!("{chunked}\r\n{length}"),
        format!("{length}\r\n{chunked}"),
    ] {
        let bytes = post(&headers, &chunk(&size()));
        assert_eq!(asked(&target, bytes), (201, true), "{headers}");
    }
}

#[test]
fn the_same_length_twice_is_a_length() {
    let line = format!("content-length: {}", movie().len());
    let twice = post(&format!("{line}\r\n{line}"), &movie());
    assert_answered(&[("twice", twice)], 201);
}

#[test]
fn broken_chunks_are_a_malformed_body_and_nothing_after_them_is_read() {
    let target = Target::start();
    let sizes = [
        "zz".to_owned(),
        "-1".to_owned(),
        String::new(),
        format!("0x{}", size()),
        "fffffffffffffffff".to_owned(),
        "3".to_owned(),
        format!("{};a\nb", size()),
    ];
    let bodies = sizes.iter().map(|size| chunk(size));
    let bare = format!("{}\n{}\n0\n\n", size(), movie());
    for body in bodies.chain([bare]) {
        let mut connection = target.connect();
        let bytes = post("transfer-encoding: chunked", &body);
        assert_error(&connection.ask(bytes).unwrap(), ErrorCode::MalformedBody);
        assert!(connection.closed().unwrap(), "{body:?}");
    }
}

#[test]
fn extensions_and_trailers_of_chunks_change_nothing() {
    let trailer = format!(
        "{}\r\n{}\r\n0\r\ncontent-length: 5\r\n\r\n",
        size(),
        movie()
    );
    let extension = chunk(&format!("{};a=b", size()));
    let cases = [("trailer", trailer), ("extension", extension)];
    let cases = cases.map(|(name, body)| (name, post("transfer-encoding: chunked", &body)));
    assert_answered(&cases, 201);
}

#[test]
fn a_head_that_is_not_one_line_for_each_field_is_refused() {
    let cases = [
        ("a folded line", get("host: target\r\nx: a\r\n b")),
        ("a folded first line", get(" host: target")),
        ("CR in a value", get("host: target\r\nx: a\rb")),
        (
            "CR alone",
            "GET /info HTTP/1.1\rhost: target\r\n\r\n".to_owned(),
        ),
        ("NUL in a value", get("host: target\r\nx: a\0b")),
        ("NUL in a name", get("host: target\r\nx\0: a")),
        ("NUL in the path", NEXT.replace("/info", "/in\0fo")),
        ("a space in a name", get("host: target\r\nx y: a")),
        ("a space before a colon", get("host : target")),
        ("no name", get("host: target\r\n: a")),
        ("two spaces", NEXT.replace("GET ", "GET  ")),
        ("tabs", NEXT.replace(' ', "\t")),
        ("HTTP/1.2", NEXT.replace("1.1", "1.2")),
        ("HTTP/0.9", "GET /info\r\n\r\n".to_owned()),
        ("a TLS hello", "\u{16}\u{3}\u{1}\u{2}\0\u{1}\0".to_owned()),
    ];
    assert_refused(&cases, 400);
}

#[test]
fn a_line_of_the_head_may_end_in_lf_alone() {
    // RFC 9112, 2.2: a recipient may take it for the end of a line; nothing is read otherwise then.
    assert_answered(&[("LF", NEXT.replace("\r\n", "\n"))], 200);
    assert_answered(&[("empty lines before", format!("\r\n\r\n{NEXT}"))], 200);
}

#[test]
fn one_host_must_be_named() {
    let cases = [
        ("none", get("x: a")),
        ("two", get("host: target\r\nhost: other")),
        ("the same twice", get("host: target\r\nhost: target")),
        ("no host", get("host: a b/")),
        ("with a user", get("host: user@target")),
    ];
    assert_refused(&cases, 400);
    assert_answered(&[("empty", get("host:"))], 200);
}

#[test]
fn a_target_is_a_path_whatever_its_form() {
    let absolute = NEXT.replace("/info", "http://other/info");
    assert_answered(&[("absolute", absolute)], 200);
    for (line, status) in [
        ("OPTIONS * HTTP/1.1", 404),
        ("GET info HTTP/1.1", 404),
        ("CONNECT target:80 HTTP/1.1", 404),
        ("get /info HTTP/1.1", 405),
    ] {
        let bytes = NEXT.replace("GET /info HTTP/1.1", line);
        assert_answered(&[(line, bytes)], status);
    }
}

#[test]
fn no_connection_becomes_another_protocol() {
    let web_socket = get("host: target\r\nconnection: upgrade\r\nupgrade: websocket");
    let http_2 = get(
        "host: target\r\nconnection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk",
    );
    assert_answered(&[("WebSocket", web_socket), ("HTTP/2", http_2)], 200);
    let target = Target::start();
    let mut connection = target.connect();
    connection.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap();
    assert!(connection.rest().unwrap_or_default().is_empty());
}

#[test]
fn what_is_bad_after_what_is_good_costs_the_good_nothing() {
    let target = Target::start();
    let mut connection = target.connect();
    let good = request("GET", "/info", &[], "");
    connection
        .send(format!("{good}{good}nonsense\r\n\r\n{good}"))
        .unwrap();
    assert_eq!(connection.answer().unwrap().status, 200);
    assert_eq!(connection.answer().unwrap().status, 200);
    assert_eq!(connection.answer().unwrap().status, 400);
    assert!(connection.closed().unwrap(), "nothing after it is answered");
}

#[test]
fn a_request_in_the_body_of_another_is_its_body() {
    let line = format!("host: target\r\ncontent-length: {}", NEXT.len());
    let target = Target::start();
    let mut connection = target.connect();
    assert_eq!(connection.ask(get(&line) + NEXT).unwrap().status, 200);
    let health = connection.ask(request("GET", "/health", &[], "")).unwrap();
    assert_eq!(health.text(), "ok", "one answer to one request");
}

#[test]
fn a_head_of_most_headers_and_bytes_is_taken_and_one_more_is_not() {
    let headers = |count: usize| {
        let lines: String = (1..count).map(|index| format!("x{index}: a\r\n")).collect();
        get(&format!("{lines}host: target"))
    };
    assert_answered(&[("100 headers", headers(100))], 200);
    assert_refused(&[("101 headers", headers(101))], 431);
    let path = |length: usize| NEXT.replace("/info", &format!("/{}", "a".repeat(length)));
    assert_answered(&[("a long path", path(15_000))], 404);
    assert_refused(&[("a longer path", path(20_000))], 431);
}

#[test]
fn a_body_in_the_smallest_chunks_is_a_body() {
    let chunks: String = movie()
        .bytes()
        .map(|byte| format!("1\r\n{}\r\n", char::from(byte)))
        .collect();
    let body = format!("{chunks}0\r\n\r\n");
    assert_answered(
        &[("a byte each", post("transfer-encoding: chunked", &body))],
        201,
    );
}
