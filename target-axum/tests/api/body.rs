//! The body of a request on the wire: its chunks, its size, its time.

use std::thread::sleep;
use std::time::{Duration, Instant};

use schema::ErrorCode;
use schema::limits::{REQUEST_BODY_MAX_BYTES, REQUEST_BODY_TIMEOUT};

use crate::suite::{
    JSON, assert_error, assert_error_detail, body, each_profile, movie, movie_head, post_movie,
    request,
};

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

        // A client that is refused need not send the body.
        let too_long = format!("content-length: {}", REQUEST_BODY_MAX_BYTES + 1);
        for (head, code) in [
            (movie_head(&[expect, &too_long]), ErrorCode::BodyTooLarge),
            (
                request("POST", "/movies", &[JSON, expect, &length], ""),
                ErrorCode::InvalidToken,
            ),
        ] {
            let mut connection = target.connect();
            connection.send(head).unwrap();
            let head = connection.head().unwrap();
            assert_eq!(head.status, code.status());
            assert_eq!(head.header("connection"), Some("close"), "{code:?}");
        }
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
            (
                movie_head(&["transfer-encoding: chunked"]) + "x",
                ErrorCode::MalformedBody,
            ),
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
fn unknown_field_may_have_any_name_and_a_year_any_form_of_an_integer() {
    each_profile(|profile| {
        let target = profile.start();
        for (members, year) in [
            (r#""year":2010,"\ud800":1"#, 2010),
            (r#""year":34881095.0"#, 34_881_095),
            (r#""year":-0"#, 0),
        ] {
            let movie =
                format!(r#"{{"title":"t","director":"d","genre":"g","rating":8,{members}}}"#);
            let answer = target.post_movie(&movie);
            assert_eq!(answer.status, 201, "{movie}");
            assert_eq!(body(&answer)["year"], year);
        }
        let no_year = r#"{"title":"t","director":"d","genre":"g","rating":8,"\ud800":1}"#;
        let detail = "year: missing, must be a 32-bit integer";
        assert_error_detail(&target.post_movie(no_year), ErrorCode::InvalidBody, detail);
    });
}
