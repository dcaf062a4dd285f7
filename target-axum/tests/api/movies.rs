//! `POST /movies`.

use schema::limits::{JSON_DEPTH_MAX, REQUEST_BODY_MAX_BYTES};
use schema::{ErrorCode, Movie, fixtures};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::suite::{
    JSON, Target, assert_error, assert_error_detail, authorization, body, claims_of, request,
};

fn movie() -> Value {
    serde_json::to_value(fixtures::new_movie()).unwrap()
}

/// The movie as JSON with this text, whatever it is, for the value of a field.
fn movie_with(field: &str, value: &str) -> String {
    let mut movie = movie();
    movie[field] = json!("<value>");
    movie.to_string().replace("\"<value>\"", value)
}

#[test]
fn answers_the_movie_with_a_fresh_id_and_the_token_s_user() {
    let answer = Target::start().post_movie(movie().to_string());
    assert_eq!(answer.status, 201);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let created: Movie<'_> = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(created.new, fixtures::new_movie());
    assert_eq!(created.id.get_version_num(), 4);
    let claims = fixtures::claims();
    assert_eq!(
        (&*created.user.id, &*created.user.name),
        (&*claims.sub, &*claims.name)
    );
}

#[test]
fn fields_come_in_the_contract_s_order_whatever_the_request_s() {
    let text =
        r#"{"rating":8.8,"genre":"g","director":"d","year":2010,"title":"t","extra":{"a":[1]}}"#;
    let answer = Target::start().post_movie(text);
    let id = body(&answer)["id"].as_str().unwrap().to_owned();
    let user = r#"{"id":"user-123","name":"Ada Lovelace"}"#;
    let fields = r#""title":"t","year":2010,"director":"d","genre":"g","rating":8.8"#;
    assert_eq!(
        answer.text(),
        format!(r#"{{{fields},"id":"{id}","user":{user}}}"#)
    );
}

#[test]
fn ids_are_fresh_and_the_user_is_this_request_s() {
    let target = Target::start();
    let mut connection = target.connect();
    let mut last = Uuid::nil();
    for user in ["user-1", "user-2", "user-1"] {
        let headers = [&*authorization(&claims_of(user)), JSON];
        let answer = connection
            .ask(request("POST", "/movies", &headers, &movie().to_string()))
            .unwrap();
        let created: Movie<'_> = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(created.user.id, user);
        assert_ne!(created.id, last);
        last = created.id;
    }
}

#[test]
fn an_integer_is_a_valid_rating() {
    let mut movie = movie();
    movie["rating"] = json!(8);
    let answer = Target::start().post_movie(movie.to_string());
    assert_eq!(answer.status, 201);
    assert_eq!(body(&answer)["rating"], json!(8.0));
}

#[test]
fn texts_come_back_as_they_were_meant() {
    let target = Target::start();
    for title in [
        "",
        "Amélie",
        "千と千尋の神隠し",
        "🎬\u{0}\u{7f}",
        "\"quoted\" \\ \n\t/",
        "\u{10ffff}",
    ] {
        let mut movie = movie();
        movie["title"] = json!(title);
        assert_eq!(body(&target.post_movie(movie.to_string()))["title"], title);
    }
    let escaped = movie_with("title", r#""\u0041\ud83c\udfac\/""#);
    assert_eq!(body(&target.post_movie(escaped))["title"], "A🎬/");
}

#[test]
fn numbers_come_back_exactly() {
    let target = Target::start();
    for (year, rating) in [
        (i32::MIN, 0.0_f64),
        (i32::MAX, -0.0),
        (0, 1e-7),
        (-1, 1.797_693_134_862_315_7e308),
        (2010, 0.1 + 0.2),
    ] {
        let mut movie = movie();
        (movie["year"], movie["rating"]) = (json!(year), json!(rating));
        let answer = target.post_movie(movie.to_string());
        let created: Movie<'_> = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(created.new.year, year);
        assert_eq!(created.new.rating.to_bits(), rating.to_bits());
    }
}

#[test]
fn what_is_not_json_is_a_malformed_body() {
    let target = Target::start();
    let valid = movie().to_string();
    let deep = format!(
        "{}{}",
        "[".repeat(JSON_DEPTH_MAX + 1),
        "]".repeat(JSON_DEPTH_MAX + 1)
    );
    let refused: Vec<Vec<u8>> = vec![
        b"".into(),
        b" ".into(),
        b"nope".into(),
        valid[..valid.len() - 1].into(),
        format!("{valid} x").into(),
        format!("{valid}{valid}").into(),
        movie_with("title", "\"a\nb\"").into(),
        valid.replacen('{', r#"{"ignored":nope,"#, 1).into(),
        [&valid.as_bytes()[..10], b"\xff", &valid.as_bytes()[10..]].concat(),
        [
            br#"{"ignored":""#,
            &b"\xc3\x28"[..],
            br#"","#,
            &valid.as_bytes()[1..],
        ]
        .concat(),
        [b"\xef\xbb\xbf", valid.as_bytes()].concat(),
        valid
            .replacen('{', &format!(r#"{{"ignored":{deep},"#), 1)
            .into(),
        deep.into(),
    ];
    for body in refused {
        let answer = target.post_movie(&body);
        assert_error(&answer, ErrorCode::MalformedBody);
    }
}

#[test]
fn json_that_does_not_fit_is_an_invalid_body_whose_detail_names_the_field() {
    let target = Target::start();
    for field in ["title", "year", "director", "genre", "rating"] {
        let expected = match field {
            "year" => "a 32-bit integer",
            "rating" => "a number",
            _ => "a string",
        };
        let mut missing = movie();
        missing.as_object_mut().unwrap().remove(field);
        assert_error_detail(
            &target.post_movie(missing.to_string()),
            ErrorCode::InvalidBody,
            &format!("{field}: missing, must be {expected}"),
        );
        for wrong in [json!(null), json!([]), json!({}), json!(true)] {
            let mut movie = movie();
            movie[field] = wrong;
            assert_error_detail(
                &target.post_movie(movie.to_string()),
                ErrorCode::InvalidBody,
                &format!("{field}: must be {expected}"),
            );
        }
        let twice =
            movie()
                .to_string()
                .replacen('{', &format!(r#"{{"{field}":{},"#, movie()[field]), 1);
        assert_error_detail(
            &target.post_movie(twice),
            ErrorCode::InvalidBody,
            &format!("{field}: given twice"),
        );
    }
}

#[test]
fn numbers_out_of_range_are_an_invalid_body() {
    let target = Target::start();
    for year in [
        "2147483648",
        "-2147483649",
        "1.5",
        "2010.0",
        "1e3",
        "99999999999999999999",
        "\"2010\"",
    ] {
        let answer = target.post_movie(movie_with("year", year));
        assert_error_detail(
            &answer,
            ErrorCode::InvalidBody,
            "year: must be a 32-bit integer",
        );
    }
    let answer = target.post_movie(movie_with("rating", "1e400"));
    assert_error_detail(&answer, ErrorCode::InvalidBody, "rating: must be a number");
}

#[test]
fn only_an_object_is_a_movie() {
    let target = Target::start();
    for text in ["null", "1", "\"movie\"", "[]", r#"["t",1,"d","g",8]"#] {
        let answer = target.post_movie(text);
        assert_error_detail(&answer, ErrorCode::InvalidBody, "must be an object");
    }
}

#[test]
fn another_content_type_is_an_unsupported_media_type() {
    let target = Target::start();
    let token = authorization(&fixtures::claims());
    for content_type in [
        &[][..],
        &["content-type: text/plain"],
        &["content-type: application/x-www-form-urlencoded"],
        &["content-type:"],
        &[JSON, JSON],
    ] {
        let headers = [&[&*token], content_type].concat();
        let answer = target.ask(request("POST", "/movies", &headers, &movie().to_string()));
        assert_error(&answer, ErrorCode::UnsupportedMediaType);
    }
    for content_type in [
        "application/json; charset=utf-8",
        "Application/JSON",
        "application/vnd.movie+json",
    ] {
        let headers = [&*token, &format!("content-type: {content_type}")];
        let answer = target.ask(request("POST", "/movies", &headers, &movie().to_string()));
        assert_eq!(answer.status, 201, "{content_type}");
    }
}

#[test]
fn the_longest_body_is_taken_and_a_byte_more_is_too_large() {
    let target = Target::start();
    let mut text = movie().to_string();
    text += &" ".repeat(REQUEST_BODY_MAX_BYTES - text.len());
    assert_eq!(target.post_movie(&text).status, 201);
    text.push(' ');
    assert_error(&target.post_movie(&text), ErrorCode::BodyTooLarge);
}
