//! The body of `POST /movies`: malformed, invalid, too large, of another type, or unusual and valid.

use schema::limits::{JSON_DEPTH_MAX, REQUEST_BODY_MAX_BYTES, REQUEST_BODY_TIMEOUT};
use schema::{ErrorCode, fixtures};
use serde_json::{Value, json};

use super::{ENDPOINTS, ERRORS, Group, LATE, movies, value};
use crate::client::Exchange;
use crate::request::Request;
use crate::verdict::Verdict;
use crate::{Check, Subject, random};

const FIELDS: [&str; 5] = ["title", "year", "director", "genre", "rating"];

/// In place of the name of a field, where the detail need not name one.
const NO_FIELD: &str = "";

pub(super) fn checks() -> Vec<Check> {
    let mut checks = Vec::new();
    let json = Group::strict("docs/CONTRACT.md#errors-of-the-target; RFC 8259");
    for (name, description, bodies) in MALFORMED {
        let run = move |subject: &Subject| {
            bodies().into_iter().try_for_each(|body| {
                let exchange = post(subject, body)?;
                exchange.is_error(ErrorCode::MalformedBody)
            })
        };
        checks.push(json.check(format!("movies/400-{name}"), description, run));
    }
    let errors = Group::strict(ERRORS);
    for (name, description, bodies) in INVALID {
        let run = move |subject: &Subject| {
            bodies().into_iter().try_for_each(|(field, body)| {
                let exchange = post(subject, body)?;
                match field {
                    NO_FIELD => exchange.is_error(ErrorCode::InvalidBody),
                    _ => exchange.is_error_naming(ErrorCode::InvalidBody, field),
                }
            })
        };
        checks.push(errors.check(format!("movies/422-{name}"), description, run));
    }
    checks.extend(types_and_sizes(errors));
    let endpoints = Group::strict(ENDPOINTS);
    for (name, description, bodies) in VALID {
        let run = move |subject: &Subject| {
            bodies().into_iter().try_for_each(|(body, movie)| {
                let exchange = post(subject, body)?;
                movies::is_movie(&exchange, &movie, &fixtures::claims())
            })
        };
        checks.push(endpoints.check(format!("movies/201-{name}"), description, run));
    }
    checks.extend(encodings(endpoints));
    checks
}

/// A check's name, its description, and the bodies that are sent, with what is known of each.
type Bodies<T> = (&'static str, &'static str, fn() -> Vec<T>);

const MALFORMED: [Bodies<Vec<u8>>; 5] = [
    ("syntax", "A body that is not JSON is 400.", || {
        let texts = [
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
        ];
        texts.map(Into::into).into()
    }),
    (
        "empty",
        "An empty body, or one of white space, is 400.",
        || vec![vec![], b" \n".to_vec()],
    ),
    (
        "invalid-utf8",
        "Invalid UTF-8 is 400, in known and in ignored fields.",
        || {
            let movie = random::k6_movie();
            let ignored = movie.replacen('{', "{\"ignored\":\"?\",", 1);
            let ignored_name = movie.replacen('{', "{\"?\":1,", 1);
            let known = movie.replace("Sci-Fi", "?");
            let texts = [(ignored, 0xff), (ignored_name, 0xc0), (known, 0xfe)];
            let bodies = texts.map(|(text, byte)| {
                let bytes = text.bytes();
                bytes
                    .map(|other| if other == b'?' { byte } else { other })
                    .collect()
            });
            bodies.into()
        },
    ),
    ("trailing-data", "Data after the JSON value is 400.", || {
        let movie = random::k6_movie();
        let bodies = ["x", "{}", ",", "\0"].map(|data| format!("{movie}{data}").into());
        bodies.into()
    }),
    (
        "too-deep",
        "JSON nested deeper than 128 is 400, in ignored fields too.",
        || vec![nested(JSON_DEPTH_MAX + 1), nested(20_000)],
    ),
];

const INVALID: [Bodies<(&str, String)>; 6] = [
    (
        "missing-field",
        "A movie without one of its fields is 422, and the detail names the field.",
        || {
            let missing = FIELDS.map(|field| {
                let mut movie = k6_movie();
                if let Some(fields) = movie.as_object_mut() {
                    fields.remove(field);
                }
                (field, movie.to_string())
            });
            [(FIELDS[0], "{}".to_owned())]
                .into_iter()
                .chain(missing)
                .collect()
        },
    ),
    (
        "wrong-type",
        "A field of another type, `null` among them, is 422, and the detail names the field.",
        || {
            let mut bodies = vec![("year", with("year", &json!(2010.5)))];
            for field in FIELDS {
                let other = match field {
                    "year" | "rating" => json!("2017"),
                    _ => json!(2017),
                };
                for wrong in [other, Value::Null, json!(true), json!([]), json!({})] {
                    bodies.push((field, with(field, &wrong)));
                }
            }
            bodies
        },
    ),
    ("no-object", "JSON that is not an object is 422.", || {
        let texts = ["[]", "null", "1", "\"a\"", r#"["t",2017,"d","g",8]"#];
        texts.map(|text| (NO_FIELD, text.to_owned())).into()
    }),
    (
        "duplicate-field",
        "A known field that comes twice is 422, and the detail names it.",
        || {
            let bodies = FIELDS.map(|field| {
                let movie = k6_movie();
                let twice = format!("{{\"{field}\":{},", movie[field]);
                (field, movie.to_string().replacen('{', &twice, 1))
            });
            bodies.into()
        },
    ),
    (
        "out-of-range",
        "A year beyond 32 bits, or a rating beyond a double, is 422, and the detail names it.",
        || {
            let numbers = [
                ("year", "2147483648"),
                ("year", "-2147483649"),
                ("year", "9223372036854775808"),
                ("year", "1e10"),
                ("year", "100000000000000000000"),
                ("rating", "1e400"),
                ("rating", "-1e400"),
            ];
            numbers
                .map(|(field, number)| (field, with_text(field, number)))
                .into()
        },
    ),
    (
        "lone-surrogate",
        "Half a surrogate pair is JSON, but not text: 422, and the detail names the field.",
        || {
            let texts = [r#""\ud83c""#, r#""\udfac\ud83c""#, r#""\ud83cx""#];
            texts.map(|text| ("title", with_text("title", text))).into()
        },
    ),
];

/// Bodies, and the movies that come back.
const VALID: [Bodies<(Vec<u8>, Value)>; 6] = [
    (
        "unknown-fields",
        "Fields that the contract does not know are ignored and dropped.",
        || {
            let mut extended = k6_movie();
            extended["extra"] = json!({"a": [1, null]});
            extended["id"] = json!("mine");
            extended["user"] = json!({"id": "someone else"});
            let twice = r#"{"extra":1,"extra":2,"#;
            let body = extended.to_string().replacen('{', twice, 1);
            vec![(body.into(), k6_movie())]
        },
    ),
    (
        "year-bounds",
        "The smallest and the largest 32-bit integer are years.",
        || {
            let years = [i32::MIN, -1, 0, i32::MAX];
            years.map(|year| valid(with("year", &json!(year)))).into()
        },
    ),
    (
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
                .map(|rating| valid(with_text("rating", rating)))
                .into()
        },
    ),
    (
        "texts",
        "Any text is a title: empty, escaped, of any plane, 10,000 letters long.",
        || {
            let long = "x".repeat(10_000);
            let titles = [
                "",
                "\u{1}\u{7f}",
                "\"\\/\u{8}\u{c}\n\r\t",
                "\u{2028}\u{fffd}",
                "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 👩‍👩‍👧",
                "</script>",
                "NULL",
                &long,
            ];
            titles
                .map(|title| valid(with("title", &json!(title))))
                .into()
        },
    ),
    ("64-KiB", "A body of 64 KiB is not too large.", || {
        vec![(padded(REQUEST_BODY_MAX_BYTES), k6_movie())]
    }),
    ("depth-128", "JSON nested 128 deep is not too deep.", || {
        vec![(nested(JSON_DEPTH_MAX), k6_movie())]
    }),
];

fn types_and_sizes(group: Group) -> Vec<Check> {
    vec![
        group.check(
            "movies/415",
            "A body of another content type is 415.",
            |subject| {
                let content_types = [
                    "text/plain",
                    "application/x-www-form-urlencoded",
                    "text/json",
                    "application/jsonp",
                    "json",
                ];
                content_types.into_iter().try_for_each(|content_type| {
                    let exchange = subject.send(typed(subject, content_type))?;
                    exchange.is_error(ErrorCode::UnsupportedMediaType)
                })
            },
        ),
        group.check(
            "movies/415-missing",
            "A body without a content type is 415.",
            |subject| {
                let request = subject.post_without_body(&fixtures::claims());
                let exchange = subject.send(request.body(random::k6_movie()))?;
                exchange.is_error(ErrorCode::UnsupportedMediaType)
            },
        ),
        group.check(
            "movies/415-twice",
            "Two content types are 415.",
            |subject| {
                let request = subject.post_k6_movie();
                let exchange = subject.send(request.header("Content-Type", "application/json"))?;
                exchange.is_error(ErrorCode::UnsupportedMediaType)
            },
        ),
        group.check(
            "movies/413",
            "A body that is announced with more than 64 KiB is 413.",
            |subject| {
                let lengths = [REQUEST_BODY_MAX_BYTES + 1, 4 * REQUEST_BODY_MAX_BYTES];
                lengths.into_iter().try_for_each(|length| {
                    let exchange = post(subject, padded(length))?;
                    exchange.is_error(ErrorCode::BodyTooLarge)
                })
            },
        ),
        group
            .source("docs/CONTRACT.md#errors-of-the-target; RFC 9112, 7.1")
            .check(
                "movies/413-chunked",
                "A body of chunks is 413 as soon as it has more than 64 KiB.",
                |subject| {
                    let body = padded(REQUEST_BODY_MAX_BYTES + 1);
                    let request = subject.post_movie(&fixtures::claims(), body);
                    let exchange = subject.send(request.chunked())?;
                    exchange.is_error(ErrorCode::BodyTooLarge)
                },
            ),
        group.faults().check(
            "movies/408",
            "A body that does not arrive within 10 s is 408.",
            |subject| {
                let request = subject.post_k6_movie().withheld();
                let timeout = REQUEST_BODY_TIMEOUT + LATE;
                let exchange = subject.client.send_within(request, timeout)?;
                exchange.is_error(ErrorCode::RequestTimeout)
            },
        ),
    ]
}

fn encodings(group: Group) -> Vec<Check> {
    let of_types = "docs/CONTRACT.md#errors-of-the-target; RFC 9110, 8.3.1; RFC 6839, 3.1";
    vec![
        group
            .source("docs/CONTRACT.md#endpoints-of-the-target; RFC 9112, 7.1")
            .check(
                "movies/201-chunked",
                "A body in chunks is accepted.",
                |subject| {
                    let exchange = subject.send(subject.post_k6_movie().chunked())?;
                    movies::is_movie(&exchange, &k6_movie(), &fixtures::claims())
                },
            ),
        group.source(of_types).check(
            "movies/201-content-types",
            "JSON is recognised with a charset, in any case of letters, and as `+json`.",
            |subject| {
                let content_types = [
                    "application/json; charset=utf-8",
                    "Application/JSON;charset=UTF-8",
                    "application/problem+json",
                ];
                content_types.into_iter().try_for_each(|content_type| {
                    let exchange = subject.send(typed(subject, content_type))?;
                    movies::is_movie(&exchange, &k6_movie(), &fixtures::claims())
                })
            },
        ),
    ]
}

fn post(subject: &Subject, body: impl Into<Vec<u8>>) -> Verdict<Exchange> {
    subject.send(subject.post_movie(&fixtures::claims(), body))
}

/// Creates a `POST /movies` of k6's movie with another content type.
fn typed(subject: &Subject, content_type: &str) -> Request {
    let request = subject.post_without_body(&fixtures::claims());
    let request = request.header("Content-Type", content_type);
    request.body(random::k6_movie())
}

fn k6_movie() -> Value {
    value(&fixtures::new_movie())
}

/// Encodes k6's movie with another value of one field.
fn with(field: &str, other: &Value) -> String {
    let mut movie = k6_movie();
    movie[field] = other.clone();
    movie.to_string()
}

/// Encodes k6's movie with another JSON text of one field.
fn with_text(field: &str, text: &str) -> String {
    with(field, &Value::from("?")).replacen("\"?\"", text, 1)
}

/// Returns the body and the movie that comes back.
fn valid(text: String) -> (Vec<u8>, Value) {
    let movie = serde_json::from_str(&text).expect("a movie of a check is JSON");
    (text.into(), movie)
}

/// Encodes k6's movie behind so many spaces that the body has this length.
fn padded(length: usize) -> Vec<u8> {
    let movie = random::k6_movie();
    let spaces = " ".repeat(length - movie.len());
    format!("{spaces}{movie}").into()
}

/// Encodes k6's movie with an ignored field, whose arrays make the body this deep.
fn nested(depth: usize) -> Vec<u8> {
    let arrays = depth - 1;
    let field = format!("{{\"x\":{}{},", "[".repeat(arrays), "]".repeat(arrays));
    random::k6_movie().replacen('{', &field, 1).into()
}
