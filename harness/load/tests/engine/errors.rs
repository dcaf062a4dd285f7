//! Answers of every form are right; what is wrong is counted by its kind.

use std::collections::BTreeMap;
use std::io;
use std::thread::sleep;
use std::time::{Duration, Instant};

use load::engine::builtin::DEADLINE;
use load::record::{LoadModel, Measured};

use super::info;
use super::server::{Asked, body, closed, right, serve, with_body};

const SHORT: Duration = Duration::from_millis(300);

/// What is measured of a server in closed loop.
fn of(answer: impl Fn(Asked<'_>) -> io::Result<()> + Send + Sync + 'static) -> Measured {
    info(serve(answer), LoadModel::Closed, SHORT)
}

/// Asserts that only right answers came.
#[track_caller]
fn assert_right(measured: &Measured) {
    assert!(measured.requests > 0);
    assert_eq!(measured.errors, BTreeMap::new());
}

/// Asserts that errors of this kind came, and no others: how many.
#[track_caller]
fn assert_only(measured: &Measured, kind: &str) -> u64 {
    let kinds: Vec<_> = measured.errors.keys().collect();
    assert_eq!(kinds, [kind]);
    measured.errors[kind]
}

#[test]
fn a_whole_answer_is_right() {
    let measured = of(|mut asked| asked.answer(right()));
    assert_right(&measured);
    assert_eq!(
        measured.bytes,
        Some(measured.requests * right().len() as u64)
    );
    assert_eq!(measured.per_100_ms.len(), 3);
    let sum: u32 = measured.per_100_ms.iter().sum();
    assert_eq!(u64::from(sum), measured.requests);
}

#[test]
fn an_answer_in_chunks_is_right() {
    let body = body();
    let (first, second) = body.split_at(20);
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Response-Id: 1\r\n\
         Transfer-Encoding: chunked\r\n\r\n14\r\n{first}\r\n{:x}\r\n{second}\r\n0\r\n\r\n",
        second.len()
    );
    assert_right(&of(move |mut asked| asked.answer(&answer)));
}

#[test]
fn an_answer_that_comes_in_pieces_is_right() {
    assert_right(&of(|mut asked| {
        for piece in right().as_bytes().chunks(90) {
            asked.answer(piece)?;
            sleep(Duration::from_millis(1));
        }
        Ok(())
    }));
}

#[test]
fn a_close_that_is_announced_is_no_error() {
    assert_right(&of(|mut asked| {
        asked.answer(right().replacen("\r\n", "\r\nconnection: close\r\n", 1))?;
        closed()
    }));
}

#[test]
fn a_close_without_an_answer_is_an_error() {
    let measured = of(|mut asked| match asked.before % 2 {
        0 => asked.answer(right()),
        _ => closed(),
    });
    assert_only(&measured, "connection closed");
    assert!(measured.requests > 0);
}

#[test]
fn an_answer_that_ends_early_is_an_error() {
    let measured = of(|mut asked| {
        asked.answer(&right()[..right().len() - 1])?;
        closed()
    });
    assert_only(&measured, "connection closed");
    assert_eq!(measured.requests, 0);
}

#[test]
fn connections_that_are_always_lost_are_opened_ten_times_a_second() {
    let measured = of(|_| closed());
    let count = assert_only(&measured, "connection closed");
    assert!((4..=4 * 4).contains(&count), "{count} in 300 ms on 4");
}

#[test]
fn another_status_is_an_error() {
    let measured = of(|mut asked| asked.answer(right().replace("200 OK", "503 Busy")));
    assert!(assert_only(&measured, "status 503") > 4);
    assert_eq!(measured.requests, 0);
}

#[test]
fn another_content_type_is_an_error() {
    let measured = of(|mut asked| asked.answer(right().replace("application/json", "text/html")));
    assert!(assert_only(&measured, "content type") > 4);
}

#[test]
fn a_missing_header_is_an_error() {
    let measured = of(|mut asked| asked.answer(right().replace("x-response-id", "x-request-id")));
    assert!(assert_only(&measured, "header x-response-id") > 4);
}

#[test]
fn more_than_was_announced_is_an_error() {
    let measured = of(|mut asked| asked.answer(right() + "\n"));
    assert!(assert_only(&measured, "length") >= 4);
    assert_eq!(measured.requests, 0);
}

#[test]
fn what_is_no_answer_is_an_error() {
    let measured = of(|mut asked| asked.answer("HELLO\r\n\r\n"));
    assert!(assert_only(&measured, "malformed") >= 4);
}

#[test]
fn a_wrong_body_of_another_length_is_always_seen() {
    let measured = of(|mut asked| match asked.before % 2 {
        0 => asked.answer(right()),
        _ => asked.answer(with_body(&body().replace(":42,", ":142,"))),
    });
    let wrong = assert_only(&measured, "body: count");
    let difference = wrong.abs_diff(measured.requests);
    // Those on their way when the time is over are not counted.
    assert!(
        difference <= 4,
        "{wrong} and {} right ones",
        measured.requests
    );
}

#[test]
fn a_wrong_body_of_the_right_length_is_seen_on_a_sample() {
    // So the first that each thread sees is right.
    let measured = of(|mut asked| match asked.is_first {
        true => asked.answer(right()),
        false => asked.answer(with_body(&body().replace(":42,", ":43,"))),
    });
    let wrong = assert_only(&measured, "body: count");
    let all = wrong + measured.requests;
    let samples = all / 64;
    // Of each thread, at most one sample is not full, and the first was a right one.
    assert!(wrong + 4 >= samples && wrong <= samples, "{wrong} of {all}");
}

#[test]
fn silent_server_costs_a_timeout_after_the_deadline() {
    let server = serve(|_| {
        sleep(Duration::from_secs(60));
        Ok(())
    });
    let measured = info(
        server,
        LoadModel::Closed,
        DEADLINE + Duration::from_millis(900),
    );
    assert_eq!(assert_only(&measured, "timeout"), 4);
}

#[test]
fn a_run_ends_though_nothing_is_answered() {
    let server = serve(|_| {
        sleep(Duration::from_secs(60));
        Ok(())
    });
    let begin = Instant::now();
    let measured = info(server, LoadModel::Closed, SHORT);
    assert!(begin.elapsed() < Duration::from_secs(5));
    assert_eq!((measured.requests, measured.error_count()), (0, 0));
}
