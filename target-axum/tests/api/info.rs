//! `GET /info`.

use std::collections::HashSet;

use schema::fixtures;
use uuid::{Uuid, Variant};

use crate::suite::{Target, request};

#[test]
fn answers_the_fixture_with_a_fresh_v4_id_every_time() {
    let target = Target::start();
    let mut connection = target.connect();
    let mut ids = HashSet::new();
    for _ in 0..100 {
        let answer = connection.ask(request("GET", "/info", &[], "")).unwrap();
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("content-type"), Some("application/json"));
        let expected = serde_json::to_string(&fixtures::info()).unwrap();
        assert_eq!(answer.text(), expected);
        let id = answer.header("x-response-id").unwrap();
        let uuid = Uuid::parse_str(id).unwrap();
        assert_eq!(uuid.get_version_num(), 4);
        assert_eq!(uuid.get_variant(), Variant::RFC4122);
        assert_eq!(uuid.hyphenated().to_string(), id);
        assert!(ids.insert(uuid), "{id} came twice");
    }
}

#[test]
fn a_query_is_ignored_and_no_token_is_needed() {
    let target = Target::start();
    assert_eq!(target.get("/info?a=b").status, 200);
    let bad_token = request("GET", "/info", &["authorization: Bearer x"], "");
    assert_eq!(target.ask(bad_token).status, 200);
}
