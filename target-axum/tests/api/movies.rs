//! `POST /movies`.

use schema::limits::JSON_DEPTH_MAX;
use schema::{ErrorCode, Movie, fixtures};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::suite::{
    JSON, assert_error, assert_error_detail, authorization, body, claims_of, each_profile, movie,
    request,
};

/// Returns the movie as JSON with this text as the value of a field.
fn with(field: &str, value: &str) -> String {
    let mut movie: Value = serde_json::from_str(&movie()).unwrap();
    movie[field] = json!("<value>");
    movie.to_string().replace("\"<value>\"", value)
}

#[test]
fn movie_comes_back_with_a_fresh_id_and_the_user_of_the_token() {
    each_profile(|profile| {
        let target = profile.start();
        let mut connection = target.connect();
        let mut last = Uuid::nil();
        for user in ["user-1", "user-2", "user-1"] {
            let headers = [&*authorization(&claims_of(user)), JSON];
            let answer = connection
                .ask(request("POST", "/movies", &headers, &movie()))
                .unwrap();
            assert_eq!(answer.status, 201);
            assert_eq!(answer.header("content-type"), Some("application/json"));
            let created: Movie<'_> = serde_json::from_slice(&answer.body).unwrap();
            assert_eq!(created.new, fixtures::new_movie());
            assert_eq!(created.id.get_version_num(), 4);
            assert_ne!(created.id, last);
            let name = fixtures::claims().name;
            assert_eq!((&*created.user.id, &*created.user.name), (user, &*name));
            last = created.id;
        }
    });
}

#[test]
fn fields_come_in_the_order_of_the_contract_and_unknown_ones_are_dropped() {
    each_profile(|profile| {
        let text = r#"{"rating":8,"genre":"g","director":"d","year":2010,"title":"t",
            "extra":{"a":[1]},"\ud800":1}"#;
        let answer = profile.start().post_movie(text);
        let id = body(&answer)["id"].as_str().unwrap().to_owned();
        let user = r#"{"id":"user-123","name":"Ada Lovelace"}"#;
        let fields = r#""title":"t","year":2010,"director":"d","genre":"g","rating":8.0"#;
        let expected = format!(r#"{{{fields},"id":"{id}","user":{user}}}"#);
        assert_eq!(answer.text(), expected);
    });
}

#[test]
fn texts_and_numbers_come_back_with_the_same_value() {
    each_profile(|profile| {
        let target = profile.start();
        for title in [
            "",
            "Amélie",
            "千と千尋の神隠し",
            "🎬\u{0}\u{7f}",
            "\"quoted\" \\ \n\t/",
            "\u{10ffff}",
        ] {
            let text = with("title", &json!(title).to_string());
            assert_eq!(body(&target.post_movie(text))["title"], title);
        }
        let escaped = with("title", r#""\u0041\ud83c\udfac\/\u0000""#);
        assert_eq!(body(&target.post_movie(escaped))["title"], "A🎬/\u{0}");
        for (field, text, value) in [
            ("year", "-2147483648", json!(i32::MIN)),
            ("year", "2147483647", json!(i32::MAX)),
            ("year", "34881095.0", json!(34_881_095)),
            ("year", "-0", json!(0)),
            ("rating", "8", json!(8.0)),
            ("rating", "-0.0", json!(-0.0)),
            ("rating", "1e-7", json!(1e-7)),
            ("rating", "1e-400", json!(0.0)),
            ("rating", "1.7976931348623157e308", json!(f64::MAX)),
            ("rating", "0.30000000000000004", json!(0.1 + 0.2)),
        ] {
            let answer = target.post_movie(with(field, text));
            assert_eq!(answer.status, 201, "{text}");
            assert_eq!(body(&answer)[field].to_string(), value.to_string());
        }
    });
}

#[test]
fn invalid_json_is_a_malformed_body() {
    let valid = movie();
    let depth = JSON_DEPTH_MAX + 1;
    let deep = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let first_member = |member: &str| valid.replacen('{', &format!("{{{member},"), 1);
    let mut refused: Vec<Vec<u8>> = vec![
        [&valid.as_bytes()[..10], b"\xff", &valid.as_bytes()[10..]].concat(),
        [
            br#"{"ignored":""#,
            &b"\xc3\x28"[..],
            br#"","#,
            &valid.as_bytes()[1..],
        ]
        .concat(),
    ];
    let texts = [
        String::new(),
        " ".to_owned(),
        "nope".to_owned(),
        valid[..valid.len() - 1].to_owned(),
        format!("{valid} x"),
        format!("{valid}{valid}"),
        format!("{valid}\0"),
        format!("\u{feff}{valid}"),
        format!("/**/{valid}"),
        valid.replace('"', "'"),
        valid.replacen('}', ",}", 1),
        first_member(r#""ignored":nope"#),
        first_member(&format!(r#""ignored":{deep}"#)),
        deep.clone(),
        with("title", "\"a\nb\""),
        with("title", r#""\u12""#),
        with("title", r#""\x41""#),
        with("year", "01"),
        with("year", "+1"),
        with("year", "0x1"),
        with("rating", "NaN"),
        with("rating", "Infinity"),
        with("rating", ".5"),
        with("rating", "1."),
    ];
    refused.extend(texts.map(String::into_bytes));
    each_profile(|profile| {
        let target = profile.start();
        for body in &refused {
            assert_error(&target.post_movie(body), ErrorCode::MalformedBody);
        }
    });
}

#[test]
fn json_that_does_not_fit_is_an_invalid_body_whose_detail_names_the_field() {
    let mut cases = Vec::new();
    for (field, expected, wrong) in [
        (
            "title",
            "a string",
            &["1", r#""\ud800""#, r#""\udc00\ud800""#][..],
        ),
        (
            "year",
            "a 32-bit integer",
            &[
                "2147483648",
                "-2147483649",
                "1.5",
                "2147483648.0",
                "1e10",
                "99999999999999999999",
                "\"2010\"",
            ],
        ),
        ("director", "a string", &["1"]),
        ("genre", "a string", &["1"]),
        ("rating", "a number", &["1e400", "\"8\""]),
    ] {
        let mut missing: Value = serde_json::from_str(&movie()).unwrap();
        let removed = missing.as_object_mut().unwrap().remove(field).unwrap();
        cases.push((
            missing.to_string(),
            format!("{field}: missing, must be {expected}"),
        ));
        let twice = movie().replacen('{', &format!(r#"{{"{field}":{removed},"#), 1);
        cases.push((twice, format!("{field}: given twice")));
        for value in wrong.iter().chain(&["null", "[]", "{}", "true"]) {
            cases.push((with(field, value), format!("{field}: must be {expected}")));
        }
    }
    for text in ["null", "1", "\"movie\"", "[]", r#"["t",1,"d","g",8]"#] {
        cases.push((text.to_owned(), "must be an object".to_owned()));
    }
    each_profile(|profile| {
        let target = profile.start();
        for (text, detail) in &cases {
            assert_error_detail(&target.post_movie(text), ErrorCode::InvalidBody, detail);
        }
    });
}

#[test]
fn content_type_must_be_one_and_json() {
    let token = authorization(&fixtures::claims());
    each_profile(|profile| {
        let target = profile.start();
        let ask = |types: &[&str]| {
            let headers = [&[&*token], types].concat();
            target.ask(request("POST", "/movies", &headers, &movie()))
        };
        for types in [
            &[][..],
            &["content-type: text/plain"],
            &["content-type: application/x-www-form-urlencoded"],
            &["content-type:"],
            &[JSON, JSON],
        ] {
            assert_error(&ask(types), ErrorCode::UnsupportedMediaType);
        }
        for accepted in [
            "content-type: application/json; charset=utf-8",
            "content-type: Application/JSON",
            "content-type: application/vnd.movie+json",
        ] {
            assert_eq!(ask(&[accepted]).status, 201, "{accepted}");
        }
    });
}
