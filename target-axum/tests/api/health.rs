//! `GET /health` and `GET /ready`.

use schema::ErrorCode;

use crate::suite::{Target, assert_error_detail, free_port, start_upstream};

#[test]
fn health_is_ok_even_if_nothing_else_is() {
    let nobody = free_port();
    let url = format!("http://127.0.0.1:{nobody}");
    let target = Target::with(&[("UPSTREAM_URL", &url), ("DB_PORT", &nobody.to_string())]);
    let answer = target.get("/health");
    assert_eq!((answer.status, answer.text().as_str()), (200, "ok"));
    assert_eq!(
        answer.header("content-type"),
        Some("text/plain; charset=utf-8")
    );
}

#[test]
fn ready_is_ok_when_both_answer() {
    let answer = Target::start().get("/ready");
    assert_eq!((answer.status, answer.text().as_str()), (200, "ok"));
}

#[test]
fn not_ready_names_what_does_not_answer() {
    let nobody = free_port().to_string();
    let nowhere = format!("http://127.0.0.1:{nobody}");
    let upstream = start_upstream(0);
    let hanging = format!("http://{}/faults/hang", upstream.address());
    let failing = format!("http://{}/faults/status-500", upstream.address());
    let database = ErrorCode::DatabaseUnavailable.phrase();
    let catalog = ErrorCode::UpstreamUnavailable.phrase();
    for (variables, detail) in [
        (&[("DB_PORT", &*nobody)][..], database.to_owned()),
        (&[("UPSTREAM_URL", &*nowhere)], catalog.to_owned()),
        (&[("UPSTREAM_URL", &*hanging)], catalog.to_owned()),
        (&[("UPSTREAM_URL", &*failing)], catalog.to_owned()),
        (
            &[("DB_PORT", &*nobody), ("UPSTREAM_URL", &*nowhere)],
            format!("{database}, {catalog}"),
        ),
    ] {
        let answer = Target::with(variables).get("/ready");
        assert_error_detail(&answer, ErrorCode::NotReady, &detail);
    }
}

#[test]
fn a_wrong_database_password_is_not_ready() {
    let target = Target::with(&[("DB_PASSWORD", "wrong")]);
    let detail = ErrorCode::DatabaseUnavailable.phrase();
    assert_error_detail(&target.get("/ready"), ErrorCode::NotReady, detail);
}
