//! The body of `POST /movies`: what is malformed, what does not fit, what is too large or of
//! another type, and what must be taken.

use std::time::Duration;

use schema::limits::{JSON_DEPTH_MAX, REQUEST_BODY_MAX_BYTES, REQUEST_BODY_TIMEOUT};
use schema::{ErrorCode, fixtures};
use serde_json::{Value, json};

use super::super::request::Request;
use super::super::verdict::Verdict;
use super::super::{Check, Level, Subject, random};
use super::{movies, value};

const ERRORS: &str = "docs/CONTRACT.md#errors-of-the-target";
const JSON: &str = "docs/CONTRACT.md#errors-of-the-target; RFC 8259";
const ENDPOINTS: &str = "docs/CONTRACT.md#endpoints-of-the-target";

/// What an answer may be late beyond the contract's deadline.
const LATE: Duration = Duration::from_millis(1500);

pub(super) fn checks() -> Vec<Check> {
    let mut checks = malformed();
    checks.extend(unfit());
    checks.extend(types_and_sizes());
    checks.extend(taken());
    checks
}

fn malformed() -> Vec<Check> {
    let check = |name: &str, what: &str, bodies: fn() -> Vec<Vec<u8>>| {
        Check::new(
            format!("movies/400-{name}"),
            Level::Strict,
            what,
            JSON,
            move |subject| {
                for body in bodies() {
                    post(subject, body)?.is_error(ErrorCode::MalformedBody)?;
                }
                Ok(())
            },
        )
    };
    vec![
        check("syntax", "A body that is no JSON is 400.", || {
            [
                "{",
                "{\"title\":}",
                "no JSON",
                "{'title':1}",
                "{\"a\":1,}",
                "nul",
                "{\"a\" 1}",
                "\u{feff}{}",
                "01",
                "\"\t\"",
            ]
            .map(|body| body.as_bytes().to_vec())
            .into()
        }),
        check(
            "empty",
            "An empty body, or one of white space, is 400.",
            || vec![vec![], b" \n".to_vec()],
        ),
        check(
            "invalid-utf8",
            "Invalid UTF-8 is 400, in a field that is known and in one that is ignored.",
            || {
                let with = |field: &str| {
                    let movie = random::k6_movie();
                    let marked = movie.replacen('{', &format!("{{\"{field}\":\"?\","), 1);
                    let mut body = marked.into_bytes();
                    let place = body
                        .iter()
                        .position(|byte| *byte == b'?')
                        .unwrap_or_default();
                    body[place] = 0xff;
                    body
                };
                let mut key = with("x");
                key[2] = 0xc0;
                vec![
                    with("ignored"),
                    key,
                    random::k6_movie()
                        .replace("Sci-Fi", "?")
                        .bytes()
                        .map(|byte| if byte == b'?' { 0xfe } else { byte })
                        .collect(),
                ]
            },
        ),
        check(
            "trailing-data",
            "More behind the JSON value is 400.",
            || {
                let movie = random::k6_movie();
                ["x", "{}", ",", "\0"]
                    .map(|more| format!("{movie}{more}").into_bytes())
                    .into()
            },
        ),
        check(
            "too-deep",
            "JSON nested deeper than 128 is 400, in an ignored field too.",
            || vec![nested(JSON_DEPTH_MAX + 1), nested(20_000)],
        ),
    ]
}

/// A good movie with an ignored field, whose arrays make the whole this deep.
fn nested(depth: usize) -> Vec<u8> {
    let arrays = depth - 1;
    let field = format!("\"x\":{}{},", "[".repeat(arrays), "]".repeat(arrays));
    let movie = random::k6_movie();
    movie.replacen('{', &format!("{{{field}"), 1).into_bytes()
}

/// Instead of a field's name, where none is to blame: the detail need not be there.
const NO_FIELD: &str = "";

const FIELDS: [&str; 5] = ["title", "year", "director", "genre", "rating"];

/// A good movie with this field set otherwise.
fn with(field: &str, to: &Value) -> String {
    let mut movie = value(&fixtures::new_movie());
    movie[field] = to.clone();
    movie.to_string()
}

/// A good movie whose JSON says this of a field, whatever it is.
fn with_text(field: &str, text: &str) -> String {
    with(field, &Value::from("?")).replacen("\"?\"", text, 1)
}

fn unfit() -> Vec<Check> {
    let check = |name: &str, what: &str, bodies: fn() -> Vec<(&'static str, String)>| {
        Check::new(
            format!("movies/422-{name}"),
            Level::Strict,
            what,
            ERRORS,
            move |subject| {
                for (field, body) in bodies() {
                    let exchange = post(subject, body)?;
                    match field {
                        NO_FIELD => exchange.is_error(ErrorCode::InvalidBody)?,
                        _ => exchange.is_error_naming(ErrorCode::InvalidBody, field)?,
                    }
                }
                Ok(())
            },
        )
    };
    vec![
        check(
            "missing-field",
            "A movie without one of its fields is 422, and the detail names the field.",
            || {
                let missing = FIELDS.map(|field| {
                    let mut movie = value(&fixtures::new_movie());
                    movie.as_object_mut().map(|fields| fields.remove(field));
                    (field, movie.to_string())
                });
                [(FIELDS[0], "{}".to_owned())]
                    .into_iter()
                    .chain(missing)
                    .collect()
            },
        ),
        check(
            "wrong-type",
            "A field of another type is 422, and the detail names the field; `null` is a type of its own.",
            || {
                let mut bodies = Vec::new();
                for field in FIELDS {
                    let other = match field {
                        "year" | "rating" => json!("2017"),
                        _ => json!(2017),
                    };
                    for wrong in [other, Value::Null, json!(true), json!([]), json!({})] {
                        bodies.push((field, with(field, &wrong)));
                    }
                }
                bodies.push(("year", with("year", &json!(2010.5))));
                bodies
            },
        ),
        check("no-object", "JSON that is no object is 422.", || {
            ["[]", "null", "1", "\"a\"", r#"["t",2017,"d","g",8]"#]
                .map(|body| (NO_FIELD, body.to_owned()))
                .into()
        }),
        check(
            "duplicate-field",
            "A known field that comes twice is 422, and the detail names it.",
            || {
                FIELDS
                    .map(|field| {
                        let movie = value(&fixtures::new_movie());
                        let twice = movie.to_string().replacen(
                            '{',
                            &format!("{{\"{field}\":{},", movie[field]),
                            1,
                        );
                        (field, twice)
                    })
                    .into()
            },
        ),
        check(
            "out-of-range",
            "A year beyond 32 bits, or a rating that no number can hold, is 422, and the detail names it.",
            || {
                let years = [
                    "2147483648",
                    "-2147483649",
                    "9223372036854775808",
                    "1e10",
                    "100000000000000000000",
                ];
                let mut bodies: Vec<_> = years.map(|year| ("year", with_text("year", year))).into();
                bodies.extend(
                    ["1e400", "-1e400"].map(|rating| ("rating", with_text("rating", rating))),
                );
                bodies
            },
        ),
        check(
            "lone-surrogate",
            "Half a surrogate pair is JSON, but no text: 422, and the detail names the field.",
            || {
                [r#""\ud83c""#, r#""\udfac\ud83c""#, r#""\ud83cx""#]
                    .map(|text| ("title", with_text("title", text)))
                    .into()
            },
        ),
    ]
}

fn types_and_sizes() -> Vec<Check> {
    let check = |name: &str, what: &str, source, run: fn(&Subject) -> Verdict| {
        Check::new(format!("movies/{name}"), Level::Strict, what, source, run)
    };
    vec![
        check(
            "415",
            "A body of another content type is 415.",
            ERRORS,
            |subject| {
                for content_type in [
                    "text/plain",
                    "application/x-www-form-urlencoded",
                    "text/json",
                    "application/jsonp",
                    "json",
                ] {
                    let request = bare(subject)
                        .header("Content-Type", content_type)
                        .body(random::k6_movie());
                    subject
                        .ask(request)?
                        .is_error(ErrorCode::UnsupportedMediaType)?;
                }
                Ok(())
            },
        ),
        check(
            "415-missing",
            "A body without a content type is 415.",
            ERRORS,
            |subject| {
                let exchange = subject.ask(bare(subject).body(random::k6_movie()))?;
                Ok(exchange.is_error(ErrorCode::UnsupportedMediaType)?)
            },
        ),
        check(
            "415-twice",
            "Two content types are 415.",
            ERRORS,
            |subject| {
                let twice = subject
                    .post_k6_movie()
                    .header("Content-Type", "application/json");
                Ok(subject
                    .ask(twice)?
                    .is_error(ErrorCode::UnsupportedMediaType)?)
            },
        ),
        check(
            "413",
            "A body that is announced with more than 64 KiB is 413.",
            ERRORS,
            |subject| {
                for length in [REQUEST_BODY_MAX_BYTES + 1, 4 * REQUEST_BODY_MAX_BYTES] {
                    post(subject, padded(length))?.is_error(ErrorCode::BodyTooLarge)?;
                }
                Ok(())
            },
        ),
        check(
            "413-chunked",
            "A body of chunks is 413 as soon as it has more than 64 KiB.",
            "docs/CONTRACT.md#errors-of-the-target; RFC 9112, 7.1",
            |subject| {
                let request =
                    subject.post_movie(&fixtures::claims(), padded(REQUEST_BODY_MAX_BYTES + 1));
                Ok(subject
                    .ask(request.chunked())?
                    .is_error(ErrorCode::BodyTooLarge)?)
            },
        ),
        check(
            "408",
            "A body that is not in within 10 s is 408.",
            ERRORS,
            |subject| {
                let request = subject.post_k6_movie().withheld();
                let exchange = subject
                    .client
                    .ask_within(request, REQUEST_BODY_TIMEOUT + LATE)?;
                Ok(exchange.is_error(ErrorCode::RequestTimeout)?)
            },
        )
        .fault(),
    ]
}

/// k6's movie behind so many spaces that the whole has this length in bytes.
fn padded(length: usize) -> Vec<u8> {
    let movie = random::k6_movie();
    format!("{}{movie}", " ".repeat(length - movie.len())).into_bytes()
}

fn taken() -> Vec<Check> {
    let check = |name: &str, what: &str, bodies: fn() -> Vec<(Vec<u8>, Value)>| {
        Check::new(
            format!("movies/201-{name}"),
            Level::Strict,
            what,
            ENDPOINTS,
            move |subject| {
                for (body, movie) in bodies() {
                    movies::is_movie(&post(subject, body)?, &movie, &fixtures::claims())?;
                }
                Ok(())
            },
        )
    };
    let k6 = || value(&fixtures::new_movie());
    vec![
        check(
            "unknown-fields",
            "Fields that the contract does not know are ignored and dropped.",
            || {
                let mut more = value(&fixtures::new_movie());
                more["extra"] = json!({"a": [1, null]});
                more["id"] = json!("mine");
                more["user"] = json!({"id": "someone else"});
                let twice = more
                    .to_string()
                    .replacen('{', r#"{"extra":1,"extra":2,"#, 1);
                vec![(twice.into_bytes(), value(&fixtures::new_movie()))]
            },
        ),
        check(
            "year-bounds",
            "The smallest and the largest 32-bit integer are years.",
            || {
                [i32::MIN, -1, 0, i32::MAX]
                    .map(|year| {
                        let movie = with("year", &json!(year));
                        (movie.clone().into_bytes(), json_of(&movie))
                    })
                    .into()
            },
        ),
        check(
            "numbers",
            "Ratings come back as the same number: tiny, huge, with an exponent, of 17 digits.",
            || {
                let ratings = [
                    "1e-7",
                    "1E2",
                    "8.8e0",
                    "-0.5",
                    "0",
                    "0.1",
                    "5e-324",
                    "1.7976931348623157e308",
                    "0.30000000000000004",
                    "123456789.12345679",
                    "9007199254740993",
                ];
                ratings
                    .map(|rating| {
                        let movie = with_text("rating", rating);
                        (movie.clone().into_bytes(), json_of(&movie))
                    })
                    .into()
            },
        ),
        check(
            "texts",
            "Any text is a title: empty, escaped, of any plane, 10,000 letters long.",
            || {
                let texts = [
                    "",
                    "\u{1}\u{7f}",
                    "\"\\/\u{8}\u{c}\n\r\t",
                    "\u{2028}\u{fffd}",
                    "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 👩‍👩‍👧",
                    "</script>",
                    "NULL",
                ];
                let texts = texts
                    .into_iter()
                    .map(str::to_owned)
                    .chain(["x".repeat(10_000)]);
                texts
                    .map(|text| {
                        let movie = with("title", &Value::from(text));
                        (movie.clone().into_bytes(), json_of(&movie))
                    })
                    .collect()
            },
        ),
        check("64-KiB", "A body of 64 KiB is not too large.", || {
            vec![(
                padded(REQUEST_BODY_MAX_BYTES),
                value(&fixtures::new_movie()),
            )]
        }),
        check("depth-128", "JSON nested 128 deep is not too deep.", || {
            vec![(nested(JSON_DEPTH_MAX), value(&fixtures::new_movie()))]
        }),
        Check::new(
            "movies/201-chunked",
            Level::Strict,
            "A body in chunks is a body.",
            "docs/CONTRACT.md#endpoints-of-the-target; RFC 9112, 7.1",
            move |subject| {
                let exchange = subject.ask(subject.post_k6_movie().chunked())?;
                Ok(movies::is_movie(&exchange, &k6(), &fixtures::claims())?)
            },
        ),
        Check::new(
            "movies/201-content-types",
            Level::Strict,
            "JSON is recognised with a charset, in any case of letters, and as `+json`.",
            "docs/CONTRACT.md#errors-of-the-target; RFC 9110, 8.3.1; RFC 6839, 3.1",
            move |subject| {
                for content_type in [
                    "application/json; charset=utf-8",
                    "Application/JSON;charset=UTF-8",
                    "application/problem+json",
                ] {
                    let request = bare(subject)
                        .header("Content-Type", content_type)
                        .body(random::k6_movie());
                    movies::is_movie(&subject.ask(request)?, &k6(), &fixtures::claims())?;
                }
                Ok(())
            },
        ),
    ]
}

fn json_of(text: &str) -> Value {
    serde_json::from_str(text).expect("a movie of a check is JSON")
}

/// `POST /movies` with a token, of no type and no body.
fn bare(subject: &Subject) -> Request {
    let token = subject.token(&fixtures::claims());
    subject
        .client
        .request("POST", schema::routes::MOVIES)
        .token(&token)
}

fn post(
    subject: &Subject,
    body: impl Into<Vec<u8>>,
) -> Result<super::super::client::Exchange, super::super::verdict::Failure> {
    subject.ask(subject.post_movie(&fixtures::claims(), body))
}
