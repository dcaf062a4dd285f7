//! Responses of every valid form are right; everything else is counted by its kind.

use std::collections::BTreeMap;
use std::io;
use std::sync::OnceLock;
use std::thread::sleep;
use std::time::{Duration, Instant};

use load::engine::builtin::DEADLINE;
use load::record::{LoadModel, Measured};
use load::scenario::Scenario;
use schema::fixtures;
use serde_json::{Value, json};

use super::info;
use super::server::{Exchange, body, close, response_with, right, serve};

const SHORT: Duration = Duration::from_millis(300);

/// Measures a server in closed loop.
fn measure(respond: impl Fn(Exchange<'_>) -> io::Result<()> + Send + Sync + 'static) -> Measured {
    info(serve(respond), LoadModel::Closed, SHORT)
}

/// A server that never responds.
fn silent(_exchange: Exchange<'_>) -> io::Result<()> {
    sleep(Duration::from_secs(60));
    Ok(())
}

#[track_caller]
fn assert_all_right(measured: &Measured) {
    assert!(measured.requests > 0);
    assert_eq!(measured.errors, BTreeMap::new());
}

/// Asserts that all errors are of this kind; returns their number.
#[track_caller]
fn assert_only(measured: &Measured, kind: &str) -> u64 {
    let kinds: Vec<_> = measured.errors.keys().collect();
    assert_eq!(kinds, [kind]);
    measured.errors[kind]
}

#[test]
fn right_responses_are_counted_with_their_bytes() {
    let measured = measure(|mut exchange| exchange.respond(right()));
    assert_all_right(&measured);
    let bytes = measured.requests * right().len() as u64;
    assert_eq!(measured.bytes, Some(bytes));
}

#[test]
fn response_of_every_valid_form_is_right() {
    let body = body();
    let (first, second) = body.split_at(20);
    let chunked = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Response-Id: 1\r\n\
         Transfer-Encoding: Chunked\r\n\r\n14\r\n{first}\r\n{:x}\r\n{second}\r\n0\r\nX-Trailer: 1\r\n\r\n",
        second.len()
    );
    let interim = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n".to_owned() + &right();
    let suffix = right().replace("application/json", "application/vnd.api+json");
    for response in [chunked, interim, suffix] {
        assert_all_right(&measure(move |mut exchange| exchange.respond(&response)));
    }
}

#[test]
fn response_in_pieces_is_right() {
    assert_all_right(&measure(|mut exchange| {
        for piece in right().as_bytes().chunks(90) {
            exchange.respond(piece)?;
            sleep(Duration::from_millis(1));
        }
        Ok(())
    }));
}

#[test]
fn announced_close_is_no_error() {
    assert_all_right(&measure(|mut exchange| {
        exchange.respond(right().replacen("\r\n", "\r\nconnection: close\r\n", 1))?;
        close()
    }));
}

#[test]
fn request_that_meets_a_closed_connection_is_sent_again() {
    let measured = measure(|mut exchange| {
        exchange.respond(right())?;
        close()
    });
    assert_all_right(&measured);
    assert!(measured.resent > 0);
}

#[test]
fn incomplete_response_is_an_error() {
    let measured = measure(|mut exchange| {
        exchange.respond(&right()[..right().len() - 1])?;
        close()
    });
    assert_only(&measured, "connection closed");
    assert_eq!(measured.requests, 0);
}

#[test]
fn lost_connections_are_opened_at_most_ten_times_a_second() {
    let count = assert_only(&measure(|_| close()), "connection closed");
    assert!((4..=4 * 4).contains(&count), "{count} in 300 ms on 4");
}

#[test]
fn wrong_response_is_an_error_of_its_kind() {
    for (kind, response) in [
        ("status 503", right().replace("200 OK", "503 Busy")),
        (
            "content type",
            right().replace("application/json", "text/html"),
        ),
        (
            "header x-response-id",
            right().replace("x-response-id", "x-request-id"),
        ),
        ("length", right() + "\n"),
        ("malformed", "HELLO\r\n\r\n".to_owned()),
    ] {
        let measured = measure(move |mut exchange| exchange.respond(&response));
        assert!(assert_only(&measured, kind) >= 4);
        assert_eq!(measured.requests, 0, "{kind}");
    }
}

#[test]
fn wrong_body_is_always_noticed() {
    for value in [":142,", ":43,"] {
        let measured = measure(move |mut exchange| match exchange.before % 2 {
            0 => exchange.respond(right()),
            _ => exchange.respond(response_with(&body().replace(":42,", value))),
        });
        let wrong = assert_only(&measured, "body: count");
        let right = measured.requests;
        // Requests in flight at the end are not counted.
        assert!(wrong.abs_diff(right) <= 4, "{wrong} wrong, {right} right");
    }
}

/// Answers with the movie that `choose` makes of the one that was sent.
fn movies(choose: impl Fn(Value) -> Value + Send + Sync + 'static) -> Measured {
    let server = serve(move |mut exchange| {
        let mut movie = choose(serde_json::from_slice(exchange.body).unwrap());
        movie["id"] = "8f14e45f-ceea-467f-a4b4-6e4c1b5ad2b0".into();
        let user = fixtures::profile();
        movie["user"] = json!({"id": user.id, "name": user.name});
        exchange.respond(response_with(&movie.to_string()).replace("200 OK", "201 Created"))
    });
    let users = [fixtures::profile()];
    super::measure(Scenario::Movies, server, &users, LoadModel::Closed, SHORT)
}

#[test]
fn movie_is_right_if_it_is_the_one_that_was_sent() {
    assert_all_right(&movies(|movie| movie));
    let first = OnceLock::new();
    let stale = movies(move |movie| first.get_or_init(|| movie).clone());
    assert!(
        stale.errors.keys().all(|kind| kind.starts_with("body: ")),
        "{stale:?}"
    );
    assert!(stale.requests <= 1 && stale.error_count() > 4, "{stale:?}");
}

#[test]
fn invalid_request_that_is_not_refused_is_an_error() {
    let measured = |status: &'static str| {
        let response = right().replace("200 OK", status);
        let server = serve(move |mut exchange| exchange.respond(&response));
        let users = [fixtures::profile()];
        super::measure(
            Scenario::Movies,
            server,
            &users,
            LoadModel::Invalid(1.0),
            SHORT,
        )
    };
    let accepted = measured("201 Created");
    let kinds: Vec<_> = accepted.errors.keys().collect();
    let expected = [
        "status 201 for a broken body",
        "status 201 for an expired token",
    ];
    assert_eq!(kinds, expected);
    assert_eq!((accepted.requests, accepted.refused), (0, 0));
    let refused = measured("401 Unauthorized");
    assert!(refused.refused > 0 && refused.errors.keys().eq(["status 401 for a broken body"]));
}

#[test]
fn silent_server_costs_a_timeout_after_the_deadline() {
    let time = DEADLINE + Duration::from_millis(900);
    let measured = info(serve(silent), LoadModel::Closed, time);
    assert_eq!(assert_only(&measured, "timeout"), 4);
}

#[test]
fn run_ends_although_no_response_comes() {
    let begin = Instant::now();
    let measured = measure(silent);
    assert!(begin.elapsed() < Duration::from_secs(5));
    assert_eq!((measured.requests, measured.error_count()), (0, 0));
}
