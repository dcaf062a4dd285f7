//! `GET /info`, `GET /health`, `GET /ready`, and what every endpoint has in common.

use std::collections::HashSet;

use schema::{ErrorCode, fixtures};
use uuid::{Uuid, Variant};

use crate::suite::{
    assert_error, assert_error_detail, authorization, each_profile, free_port, get, request,
    start_upstream,
};

#[test]
fn info_is_the_fixture_with_a_fresh_v4_id() {
    each_profile(|profile| {
        let target = profile.start();
        let mut connection = target.connect();
        let mut ids = HashSet::new();
        for path in ["/info", "/info?a=b"].into_iter().cycle().take(100) {
            let invalid_token = "authorization: Bearer x";
            let answer = connection
                .ask(request("GET", path, &[invalid_token], ""))
                .unwrap();
            assert_eq!(answer.status, 200);
            assert_eq!(answer.header("content-type"), Some("application/json"));
            let expected = serde_json::to_string(&fixtures::info()).unwrap();
            assert_eq!(answer.text(), expected);
            let id = answer.header("x-response-id").unwrap();
            let uuid = Uuid::parse_str(id).unwrap();
            assert_eq!(uuid.get_version_num(), 4);
            assert_eq!(uuid.get_variant(), Variant::RFC4122);
            assert_eq!(uuid.hyphenated().to_string(), id);
            assert!(ids.insert(uuid), "{id} is not fresh");
        }
    });
}

#[test]
fn health_is_ok_even_if_nothing_else_is() {
    each_profile(|profile| {
        let port = free_port().to_string();
        let url = format!("http://127.0.0.1:{port}");
        let target = profile.with(&[("UPSTREAM_URL", &url), ("DB_PORT", &port)]);
        let answer = target.get("/health");
        assert_eq!((answer.status, answer.text().as_str()), (200, "ok"));
        let text = Some("text/plain; charset=utf-8");
        assert_eq!(answer.header("content-type"), text);
    });
}

#[test]
fn ready_is_ok_when_both_dependencies_answer_and_names_those_that_do_not() {
    each_profile(|profile| {
        let answer = profile.start().get("/ready");
        assert_eq!((answer.status, answer.text().as_str()), (200, "ok"));
        let port = free_port().to_string();
        let refusing = format!("http://127.0.0.1:{port}");
        let upstream = start_upstream(0);
        let [hanging, failing] = ["hang", "status-500"]
            .map(|fault| format!("http://{}/faults/{fault}", upstream.address()));
        let database = ErrorCode::DatabaseUnavailable.phrase();
        let catalog = ErrorCode::UpstreamUnavailable.phrase();
        for (variables, detail) in [
            (&[("DB_PORT", &*port)][..], database.to_owned()),
            (&[("DB_PASSWORD", "wrong")], database.to_owned()),
            (&[("UPSTREAM_URL", &*refusing)], catalog.to_owned()),
            (&[("UPSTREAM_URL", &*hanging)], catalog.to_owned()),
            (&[("UPSTREAM_URL", &*failing)], catalog.to_owned()),
            (
                &[("DB_PORT", &*port), ("UPSTREAM_URL", &*refusing)],
                format!("{database}, {catalog}"),
            ),
        ] {
            let answer = profile.with(variables).get("/ready");
            assert_error_detail(&answer, ErrorCode::NotReady, &detail);
        }
    });
}

#[test]
fn unknown_path_is_not_found() {
    each_profile(|profile| {
        let target = profile.start();
        for path in [
            "/",
            "/info/",
            "/INFO",
            "/movie",
            "/users",
            "/users/you",
            "/data",
            "//info",
            "/%69nfo",
        ] {
            for method in ["GET", "POST"] {
                let answer = target.ask(request(method, path, &[], ""));
                assert_error(&answer, ErrorCode::NotFound);
            }
        }
    });
}

#[test]
fn other_method_is_not_allowed_and_the_allowed_ones_are_named() {
    each_profile(|profile| {
        let target = profile.start();
        for (path, allow) in [
            ("/info", "GET,HEAD"),
            ("/movies", "POST"),
            ("/catalog", "GET,HEAD"),
            ("/proxy", "GET,HEAD"),
            ("/users/me", "GET,HEAD"),
            ("/health", "GET,HEAD"),
            ("/ready", "GET,HEAD"),
        ] {
            for method in ["PUT", "DELETE", "PATCH", "OPTIONS", "POST", "GET", "BREW"] {
                if !allow.split(',').any(|allowed| allowed == method) {
                    let answer = target.ask(request(method, path, &[], ""));
                    assert_error(&answer, ErrorCode::MethodNotAllowed);
                    assert_eq!(answer.header("allow"), Some(allow), "{method} {path}");
                }
            }
        }
        let head = target.ask(request("HEAD", "/movies", &[], ""));
        assert_eq!(head.status, ErrorCode::MethodNotAllowed.status());
    });
}

#[test]
fn head_is_get_without_the_body() {
    each_profile(|profile| {
        let target = profile.start();
        let token = authorization(&fixtures::claims());
        for path in [
            "/info",
            "/catalog",
            "/proxy",
            "/users/me",
            "/health",
            "/ready",
        ] {
            let mut connection = target.connect();
            let [with_body, head] = ["GET", "HEAD"].map(|method| {
                let asked = request(method, path, &[&token], "");
                connection.ask(asked).unwrap()
            });
            assert_eq!((with_body.status, head.status), (200, 200), "{path}");
            for header in ["content-type", "content-length"] {
                assert_eq!(head.header(header), with_body.header(header), "{path}");
            }
            let length = with_body.body.len().to_string();
            assert_eq!(head.header("content-length"), Some(&*length));
            let next = connection.ask(get("/health")).unwrap();
            assert_eq!(next.text(), "ok", "HEAD has no body");
        }
    });
}
