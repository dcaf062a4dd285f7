//! Requests with an uncertain end, at which one server sees the end of a request and another one its
//! middle (RFC 9112, 11.2): the connection is closed, so that nothing after it passes for a request.

use crate::suite::{each_profile, get, movie, movie_head, request};

/// A request that would be answered if it were read as one.
const NEXT: &str = "GET /info HTTP/1.1\r\nhost: target\r\n\r\n";

/// Returns `POST /movies` with these header lines, this body as it is, and another request after it.
fn post(lines: &str, body: &str) -> String {
    let lines: Vec<&str> = lines.split("\r\n").collect();
    movie_head(&lines) + body + NEXT
}

/// Returns the movie in one chunk whose line begins with this size.
fn chunk(size: &str) -> String {
    format!("{size}\r\n{}\r\n0\r\n\r\n", movie())
}

fn size() -> String {
    format!("{:x}", movie().len())
}

/// Asserts that each request is answered once, and that its connection closes.
fn assert_closed(status: u16, requests: &[String]) {
    each_profile(|profile| {
        let target = profile.start();
        for bytes in requests {
            let mut connection = target.connect();
            assert_eq!(connection.ask(bytes).unwrap().status, status, "{bytes:?}");
            assert!(connection.closed().unwrap(), "{bytes:?}");
        }
        assert_eq!(target.get("/info").status, 200);
    });
}

/// Asserts that each request is answered, and the one after it, too.
fn assert_answered(status: u16, requests: &[String]) {
    each_profile(|profile| {
        let target = profile.start();
        for bytes in requests {
            let mut connection = target.connect();
            assert_eq!(connection.ask(bytes).unwrap().status, status, "{bytes:?}");
            assert_eq!(connection.answer().unwrap().status, 200, "{bytes:?}");
        }
    });
}

#[test]
fn content_length_that_is_not_one_number_is_refused() {
    let length = movie().len();
    let lines = [
        format!("content-length: {length}\r\ncontent-length: 3"),
        format!("content-length: {length}, {length}"),
        format!("content-length: +{length}"),
        "content-length: -1".to_owned(),
        "content-length: 0x3c".to_owned(),
        format!("content-length: {length} 1"),
        "content-length:".to_owned(),
        "content-length: 99999999999999999999999".to_owned(),
        format!("content-length : {length}"),
    ];
    assert_closed(400, &lines.map(|line| post(&line, &movie())));
}

#[test]
fn transfer_coding_other_than_chunked_is_refused() {
    let codings = [
        "transfer-encoding: identity",
        "transfer-encoding: xchunked",
        "transfer-encoding: gzip, chunked",
        "transfer-encoding: chunked, gzip",
        "transfer-encoding: chunked, chunked",
        "transfer-encoding: \u{b}chunked",
        "transfer-encoding: chunked\r\ntransfer-encoding: identity",
        "transfer-encoding: chunked\r\ntransfer-encoding: chunked",
        "transfer-encoding : chunked",
    ];
    let mut requests = codings.map(|coding| post(coding, &chunk(&size()))).to_vec();
    let http_1_0 = post("transfer-encoding: chunked", &chunk(&size()));
    requests.push(http_1_0.replacen("HTTP/1.1", "HTTP/1.0", 1));
    assert_closed(400, &requests);
}

#[test]
fn length_together_with_chunks_is_read_as_chunks_and_nothing_after_them() {
    let (chunked, length) = ("transfer-encoding: chunked", "content-length: 4");
    let lines = [
        format!("{chunked}\r\n{length}"),
        format!("{length}\r\n{chunked}"),
    ];
    assert_closed(201, &lines.map(|lines| post(&lines, &chunk(&size()))));
}

#[test]
fn invalid_chunks_are_a_malformed_body_and_nothing_after_them_is_read() {
    let sizes = [
        "nonsense".to_owned(),
        "zz".to_owned(),
        "-1".to_owned(),
        String::new(),
        format!("0x{}", size()),
        "fffffffffffffffff".to_owned(),
        "3".to_owned(),
        format!("{};a\nb", size()),
    ];
    let bare_line_feeds = format!("{}\n{}\n0\n\n", size(), movie());
    let bodies = sizes.iter().map(|size| chunk(size));
    let requests: Vec<_> = bodies
        .chain([bare_line_feeds])
        .map(|body| post("transfer-encoding: chunked", &body))
        .collect();
    assert_closed(400, &requests);
}

#[test]
fn equal_lengths_chunk_extensions_and_trailers_change_nothing() {
    let length = format!("content-length: {}", movie().len());
    let trailer = format!(
        "{}\r\n{}\r\n0\r\ncontent-length: 5\r\n\r\n",
        size(),
        movie()
    );
    let extension = chunk(&format!("{};a=b", size()));
    let chunked = "transfer-encoding: chunked";
    assert_answered(
        201,
        &[
            post(&format!("{length}\r\n{length}"), &movie()),
            post(chunked, &trailer),
            post(chunked, &extension),
        ],
    );
}

#[test]
fn request_in_the_body_of_get_is_its_body() {
    let length = format!("content-length: {}", NEXT.len());
    let bytes = request("GET", "/health", &[&length], "") + NEXT + NEXT;
    each_profile(|profile| {
        let target = profile.start();
        let mut connection = target.connect();
        assert_eq!(connection.ask(&bytes).unwrap().text(), "ok");
        assert!(
            connection
                .answer()
                .unwrap()
                .header("x-response-id")
                .is_some()
        );
        assert_eq!(connection.ask(get("/health")).unwrap().text(), "ok");
    });
}
