//! The answer of each route, and the errors of unavailable backends.

use schema::{ErrorCode, Info, Movie, Product, Profile, fixtures};
use serde::Deserialize;
use testbed::postgres::TemporaryPostgres;
use testbed::raw::Answer;
use uuid::Uuid;

use crate::suite::{Ceiling, post_movie, start_upstream};

fn decode<'a, T: Deserialize<'a>>(answer: &'a Answer, status: u16) -> T {
    assert_eq!(answer.status, status, "{}", answer.text());
    assert_eq!(answer.header("content-type"), Some("application/json"));
    serde_json::from_slice(&answer.body).unwrap()
}

#[track_caller]
fn assert_error(answer: &Answer, code: ErrorCode) {
    assert_eq!(answer.status, code.status());
    assert_eq!(answer.text(), code.body().to_json());
}

#[test]
fn routes_answer_the_fixtures_of_the_contract() {
    let ceiling = Ceiling::start();
    let info = ceiling.get("/info");
    assert_eq!(decode::<Info<'_>>(&info, 200), fixtures::info());
    let id = info.header("x-response-id").unwrap();
    assert_eq!(id.parse::<Uuid>().unwrap().get_version_num(), 4);

    let profile = ceiling.get("/users/me");
    assert_eq!(decode::<Profile>(&profile, 200), fixtures::profile());
    let expected = serde_json::to_string(&fixtures::profile()).unwrap();
    assert_eq!(profile.text(), expected);

    for path in ["/catalog", "/proxy"] {
        let product = ceiling.get(path);
        assert_eq!(decode::<Product<'_>>(&product, 200).id, "prod-1");
        assert_eq!(product.text(), fixtures::PRODUCT_JSON);
    }
    assert_eq!(ceiling.get("/health").text(), "ok");
    for path in ["/", "/information", "/users/you", "/data"] {
        assert_error(&ceiling.get(path), ErrorCode::NotFound);
    }
    let deleted = ceiling.connect().ask("DELETE /info HTTP/1.1\r\n\r\n");
    assert_error(&deleted.unwrap(), ErrorCode::NotFound);
}

#[test]
fn every_posted_movie_is_answered_with_the_fixture() {
    let ceiling = Ceiling::start();
    let mut connection = ceiling.connect();
    for body in ["{}", "not JSON", &"long".repeat(10_000)] {
        let answer = connection.ask(post_movie(body)).unwrap();
        let movie: Movie<'_> = decode(&answer, 201);
        assert_eq!(movie.new, fixtures::new_movie());
        assert_eq!(movie.user.id, fixtures::claims().sub);
        assert_eq!(movie.user.name, fixtures::claims().name);
        assert_eq!(movie.id.get_version_num(), 4);
    }
}

#[test]
fn backend_that_stops_is_unavailable_until_it_restarts() {
    let mut postgres = TemporaryPostgres::start().unwrap();
    let mut ceiling = Ceiling::start_with(postgres.port(), &[("DB_POOL_SIZE", "2")]);
    assert_eq!(ceiling.get("/users/me").status, 200);
    postgres.stop().unwrap();
    assert_error(&ceiling.get("/users/me"), ErrorCode::DatabaseUnavailable);
    postgres.start_again().unwrap();
    assert_eq!(ceiling.get("/users/me").status, 200);

    assert_eq!(ceiling.get("/catalog").status, 200);
    let upstream = ceiling.upstream.take().unwrap();
    let port = upstream.address().port();
    upstream.stop().unwrap();
    assert_error(&ceiling.get("/catalog"), ErrorCode::UpstreamUnavailable);
    ceiling.upstream = Some(start_upstream(port));
    assert_eq!(ceiling.get("/catalog").status, 200);
}

#[test]
fn upstream_answer_that_is_not_a_complete_200_is_unavailable() {
    let upstream = start_upstream(0);
    for fault in ["status-500", "reset", "truncate", "redirect"] {
        let url = format!("http://{}/faults/{fault}", upstream.address());
        let ceiling = Ceiling::start_with(1, &[("UPSTREAM_URL", &url)]);
        assert_error(&ceiling.get("/catalog"), ErrorCode::UpstreamUnavailable);
    }
}
