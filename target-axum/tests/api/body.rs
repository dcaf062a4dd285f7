//! The body of a request on the wire: its chunks, its size, its time.

use std::thread::sleep;
use std::time::{Duration, Instant};

use schema::ErrorCode;
use schema::limits::{REQUEST_BODY_MAX_BYTES, REQUEST_BODY_TIMEOUT};

use crate::suite::{
    JSON, assert_error, body, each_profile, get, movie, movie_head, post_movie, request,
};

const CHUNKED: &str = "transfer-encoding: chunked";

/// Returns the body in chunks of this size.
fn chunked(body: &str, size: usize) -> String {
    let chunks = body.as_bytes().chunks(size);
    let chunks = chunks.map(|part| {
        let text = std::str::from_utf8(part).unwrap();
        format!("{:x}\r\n{text}\r\n", part.len())
    });
    chunks.collect::<String>() + "0\r\n\r\n"
}

#[test]
fn request_may_arrive_split_anywhere() {
    each_profile(|profile| {
        let target = profile.start();
        let whole = post_movie(&[], movie());
        let mut connection = target.connect();
        for split in 1..whole.len() {
            connection.send(&whole[..split]).unwrap();
            sleep(Duration::from_micros(200));
            let answer = connection.ask(&whole[split..]).unwrap();
            assert_eq!(answer.status, 201, "split at {split}");
        }
        // A byte at a time.
        let (last, bytes) = whole.split_last().unwrap();
        for byte in bytes {
            connection.send([*byte]).unwrap();
            sleep(Duration::from_micros(200));
        }
        assert_eq!(connection.ask([*last]).unwrap().status, 201);
    });
}

#[test]
fn body_may_arrive_in_chunks_of_any_size() {
    each_profile(|profile| {
        let target = profile.start();
        let mut connection = target.connect();
        for size in [1, 7, 4096] {
            let whole = movie_head(&[CHUNKED]) + &chunked(&movie(), size);
            let answer = connection.ask(whole).unwrap();
            assert_eq!(answer.status, 201, "{size}");
            let expected: serde_json::Value = serde_json::from_str(&movie()).unwrap();
            assert_eq!(body(&answer)["title"], expected["title"]);
        }
        // Each part of a chunk by itself.
        connection.send(movie_head(&[CHUNKED])).unwrap();
        for part in chunked(&movie(), 7).split_inclusive("\r\n") {
            connection.send(part).unwrap();
        }
        assert_eq!(connection.answer().unwrap().status, 201);
        assert_eq!(connection.ask(get("/info")).unwrap().status, 200);
    });
}

#[test]
fn longest_body_is_accepted_and_one_byte_more_is_too_large() {
    each_profile(|profile| {
        let target = profile.start();
        let mut text = movie();
        text += &" ".repeat(REQUEST_BODY_MAX_BYTES - text.len());
        assert_eq!(target.post_movie(&text).status, 201);
        let in_chunks = movie_head(&[CHUNKED]) + &chunked(&text, 0x4000);
        assert_eq!(target.ask(in_chunks).status, 201);
        text.push(' ');
        assert_error(&target.post_movie(&text), ErrorCode::BodyTooLarge);
        let in_chunks = movie_head(&[CHUNKED]) + &chunked(&text, 0x4000);
        assert_error(&target.ask(in_chunks), ErrorCode::BodyTooLarge);
    });
}

#[test]
fn continue_is_sent_when_the_body_is_wanted_only() {
    each_profile(|profile| {
        let target = profile.start();
        let expect = "expect: 100-continue";
        let length = format!("content-length: {}", movie().len());
        let mut connection = target.connect();
        connection.send(movie_head(&[expect, &length])).unwrap();
        assert_eq!(connection.head().unwrap().status, 100);
        assert_eq!(connection.ask(movie()).unwrap().status, 201);

        let too_long = format!("content-length: {}", REQUEST_BODY_MAX_BYTES + 1);
        let answer = target.ask(movie_head(&[expect, &too_long]));
        assert_error(&answer, ErrorCode::BodyTooLarge);
        let answer = target.ask(request("POST", "/movies", &[JSON, expect, &length], ""));
        assert_error(&answer, ErrorCode::InvalidToken);
    });
}

#[test]
fn refusal_announces_the_close_if_much_of_the_body_is_unread() {
    each_profile(|profile| {
        let target = profile.start();
        let long = "content-length: 70000";
        for (head, code) in [
            (
                request("POST", "/movies", &[JSON, long], ""),
                ErrorCode::InvalidToken,
            ),
            (
                request("POST", "/unknown", &[long], ""),
                ErrorCode::NotFound,
            ),
            (
                request("POST", "/info", &[long], ""),
                ErrorCode::MethodNotAllowed,
            ),
            (movie_head(&[long]), ErrorCode::BodyTooLarge),
            (movie_head(&[JSON, long]), ErrorCode::UnsupportedMediaType),
            (movie_head(&[CHUNKED]) + "x", ErrorCode::MalformedBody),
        ] {
            let answer = target.ask(head);
            assert_error(&answer, code);
            assert_eq!(answer.header("connection"), Some("close"), "{code:?}");
        }
        // A short one is read and discarded.
        let mut connection = target.connect();
        let short = format!("content-length: {}", movie().len());
        let head = request("POST", "/movies", &[JSON, &short], "");
        let answer = connection.ask(head).unwrap();
        assert_error(&answer, ErrorCode::InvalidToken);
        connection.send(movie()).unwrap();
        assert_eq!(
            connection.ask(post_movie(&[], movie())).unwrap().status,
            201
        );
    });
}

#[test]
fn refusal_reaches_a_client_that_is_still_sending() {
    each_profile(|profile| {
        let target = profile.start();
        let megabyte = " ".repeat(1024 * 1024);
        let length = format!("content-length: {}", 4 * megabyte.len());
        let without_token = request("POST", "/movies", &[JSON, &length], "");
        for (head, code) in [
            (movie_head(&[&length]), ErrorCode::BodyTooLarge),
            (without_token, ErrorCode::InvalidToken),
        ] {
            let mut connection = target.connect();
            connection.send(head).unwrap();
            for _ in 0..4 {
                // The server may have closed the connection before the end.
                if connection.send(&megabyte).is_err() {
                    break;
                }
            }
            assert_error(&connection.answer().unwrap(), code);
        }
    });
}

#[test]
fn body_that_does_not_arrive_in_time_is_a_request_timeout() {
    each_profile(|profile| {
        let target = profile.start();
        let mut connection = target.connect();
        let start = Instant::now();
        connection
            .send(movie_head(&["content-length: 100"]))
            .unwrap();
        // A byte now and then does not extend the time.
        while start.elapsed() < REQUEST_BODY_TIMEOUT / 2 {
            connection.send(" ").unwrap();
            sleep(Duration::from_millis(500));
        }
        let answer = connection.answer().unwrap();
        assert_error(&answer, ErrorCode::RequestTimeout);
        assert_eq!(answer.header("connection"), Some("close"));
        assert!(start.elapsed() >= REQUEST_BODY_TIMEOUT);
        assert!(start.elapsed() < REQUEST_BODY_TIMEOUT * 3 / 2);
    });
}

#[test]
fn body_that_ends_early_disturbs_no_other_connection() {
    each_profile(|profile| {
        let target = profile.start();
        let mut connection = target.connect();
        connection
            .send(movie_head(&["content-length: 100"]))
            .unwrap();
        connection.finish_sending().unwrap();
        drop(connection);
        assert_eq!(target.get("/info").status, 200);
    });
}
