//! The rows of the error table that belong to no endpoint, and HEAD.

use schema::{ErrorCode, fixtures};

use crate::suite::{Target, assert_error, authorization, request};

#[test]
fn an_unknown_path_is_not_found() {
    let target = Target::start();
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
}

#[test]
fn another_method_is_not_allowed_and_the_allowed_ones_are_named() {
    let target = Target::start();
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
}

#[test]
fn head_is_get_without_the_body() {
    let target = Target::start();
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
        let get = connection.ask(request("GET", path, &[&token], "")).unwrap();
        let head = connection
            .ask(request("HEAD", path, &[&token], ""))
            .unwrap();
        assert_eq!((get.status, head.status), (200, 200), "{path}");
        for header in ["content-type", "content-length"] {
            assert_eq!(head.header(header), get.header(header), "{path}");
        }
        assert_eq!(
            head.header("content-length"),
            Some(get.body.len().to_string().as_str())
        );
        let next = connection.ask(request("GET", "/health", &[], "")).unwrap();
        assert_eq!(next.text(), "ok", "no body came before the next answer");
    }
}

#[test]
fn head_of_what_post_serves_is_not_allowed() {
    let target = Target::start();
    let answer = target.ask(request("HEAD", "/movies", &[], ""));
    assert_eq!(answer.status, ErrorCode::MethodNotAllowed.status());
}
