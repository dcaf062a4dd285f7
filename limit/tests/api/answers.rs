//! What each path answers: the status and the shape of the contract, and what it says where a far
//! side is not there.

use schema::{ErrorCode, Info, Movie, Product, Profile, fixtures};
use serde::Deserialize;
use testbed::postgres::TemporaryPostgres;
use testbed::raw::Answer;
use uuid::Uuid;

use crate::suite::{Limit, post_movie};

fn decoded<'a, T: Deserialize<'a>>(answer: &'a Answer, status: u16) -> T {
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
fn info_is_the_contract_s_with_an_id_of_its_shape() {
    let answer = Limit::start().get("/info");
    assert_eq!(decoded::<Info<'_>>(&answer, 200), fixtures::info());
    let id = answer.header("x-response-id").unwrap();
    assert_eq!(id.parse::<Uuid>().unwrap().get_version_num(), 4);
}

#[test]
fn a_movie_is_answered_with_k6_s_whatever_is_posted() {
    let limit = Limit::start();
    let mut connection = limit.connect();
    for body in ["{}", "no JSON", &"long".repeat(10_000)] {
        let answer = connection.ask(post_movie(body)).unwrap();
        let movie: Movie<'_> = decoded(&answer, 201);
        assert_eq!(movie.new, fixtures::new_movie());
        assert_eq!(movie.user.id, fixtures::claims().sub);
        assert_eq!(movie.user.name, fixtures::claims().name);
        assert_eq!(movie.id.get_version_num(), 4);
    }
}

#[test]
fn the_catalog_is_what_the_upstream_answers() {
    let limit = Limit::start();
    let mut connection = limit.connect();
    for path in ["/catalog", "/proxy", "/catalog"] {
        let answer = connection.ask(crate::suite::get(path)).unwrap();
        let product: Product<'_> = decoded(&answer, 200);
        assert_eq!(product.id, "prod-1");
        assert_eq!(answer.text(), fixtures::PRODUCT_JSON);
    }
}

#[test]
fn the_user_is_the_row_that_postgres_has() {
    let answer = Limit::start().get("/users/me");
    assert_eq!(decoded::<Profile>(&answer, 200), fixtures::profile());
    let expected = serde_json::to_string(&fixtures::profile()).unwrap();
    assert_eq!(answer.text(), expected);
}

#[test]
fn it_is_healthy_and_knows_no_other_path() {
    let limit = Limit::start();
    assert_eq!(limit.get("/health").text(), "ok");
    for path in ["/", "/information", "/users/you", "/data"] {
        assert_error(&limit.get(path), ErrorCode::NotFound);
    }
    let deleted = limit.connect().ask("DELETE /info HTTP/1.1\r\n\r\n");
    assert_error(&deleted.unwrap(), ErrorCode::NotFound);
}

#[test]
fn a_far_side_that_is_not_there_is_told_and_called_again_when_it_is() {
    let mut postgres = TemporaryPostgres::start().unwrap();
    let mut limit = Limit::with(postgres.port(), &[("DB_POOL_SIZE", "2")]);
    assert_eq!(limit.get("/users/me").status, 200);
    postgres.stop().unwrap();
    assert_error(&limit.get("/users/me"), ErrorCode::DatabaseUnavailable);
    postgres.start_again().unwrap();
    assert_eq!(limit.get("/users/me").status, 200);

    assert_eq!(limit.get("/catalog").status, 200);
    let upstream = limit.upstream.take().unwrap();
    let port = upstream.address().port();
    upstream.stop().unwrap();
    assert_error(&limit.get("/catalog"), ErrorCode::UpstreamUnavailable);
    limit.upstream = Some(crate::suite::start_upstream(port));
    assert_eq!(limit.get("/catalog").status, 200);
}

#[test]
fn what_is_no_whole_200_of_the_upstream_is_a_bad_gateway() {
    let upstream = crate::suite::start_upstream(0);
    for fault in ["status-500", "reset", "truncate", "redirect"] {
        let url = format!("http://{}/faults/{fault}", upstream.address());
        let limit = Limit::with(1, &[("UPSTREAM_URL", &url)]);
        assert_error(&limit.get("/catalog"), ErrorCode::UpstreamUnavailable);
    }
}
