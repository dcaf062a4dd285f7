//! Tokens that somebody made up, in the ways that have fooled other libraries (RFC 8725), and bodies
//! that parsers read in different ways.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use schema::{ErrorCode, env, fixtures};
use serde_json::json;

use crate::suite::{Target, assert_error, body, request};

/// The header of every honest token.
const HEADER: &str = r#"{"alg":"HS256","typ":"JWT"}"#;

fn claims() -> String {
    serde_json::to_string(&fixtures::claims()).unwrap()
}

fn secret() -> &'static str {
    env::bench_value(&env::JWT_SECRET)
}

/// HS256 of the first two parts of a token.
fn signature(signed: &str, secret: &[u8]) -> String {
    let key = EncodingKey::from_secret(secret);
    crypto::sign(signed.as_bytes(), &key, Algorithm::HS256).unwrap()
}

/// A token of these two texts, rightly signed by HS256 whatever its header says.
fn token(header: &str, claims: &str) -> String {
    let signed = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header),
        URL_SAFE_NO_PAD.encode(claims)
    );
    format!("{signed}.{}", signature(&signed, secret().as_bytes()))
}

fn status(target: &Target, token: &str) -> u16 {
    let header = format!("authorization: Bearer {token}");
    let answer = target.ask(request("GET", "/users/me", &[&header], ""));
    if answer.status != 200 {
        assert_error(&answer, ErrorCode::InvalidToken);
    }
    answer.status
}

#[track_caller]
fn assert_all(tokens: &[String], expected: u16) {
    let target = Target::start();
    assert_eq!(status(&target, &token(HEADER, &claims())), 200);
    for token in tokens {
        assert_eq!(status(&target, token), expected, "{token}");
    }
}

#[test]
fn no_spelling_of_none_is_an_algorithm() {
    let spellings = [
        "none", "None", "NONE", "nOnE", " none", "none ", "", "HS256 ", "hs256", "hS256",
    ];
    let tokens = spellings.iter().flat_map(|alg| {
        let whole = token(&json!({"alg": alg, "typ": "JWT"}).to_string(), &claims());
        let (signed, _) = whole.rsplit_once('.').unwrap();
        [format!("{signed}."), signed.to_owned(), whole.clone()]
    });
    assert_all(&tokens.collect::<Vec<_>>(), 401);
}

#[test]
fn an_algorithm_of_another_kind_or_type_is_refused() {
    let others = [
        json!("HS384"),
        json!("RS256"),
        json!("ES256"),
        json!("PS256"),
        json!("EdDSA"),
        json!(null),
        json!(["HS256"]),
        json!({"HS256": 1}),
        json!(256),
    ];
    let tokens = others.map(|alg| token(&json!({"alg": alg, "typ": "JWT"}).to_string(), &claims()));
    assert_all(&tokens, 401);
    let without = [
        r#"{"typ":"JWT"}"#,
        "{}",
        "[]",
        "null",
        "",
        r#"{"alg":"HS256""#,
    ];
    assert_all(&without.map(|header| token(header, &claims())), 401);
}

#[test]
fn the_secret_is_no_other_secret() {
    let whole = token(HEADER, &claims());
    let (signed, _) = whole.rsplit_once('.').unwrap();
    let longer = format!("{}x", secret());
    let secrets: [&[u8]; 4] = [b"", b"secret", longer.as_bytes(), &secret().as_bytes()[1..]];
    let tokens = secrets.map(|secret| format!("{signed}.{}", signature(signed, secret)));
    assert_all(&tokens, 401);
}

#[test]
fn where_a_header_says_the_key_is_does_not_matter() {
    // The key is the configured one; nothing is fetched, opened or looked up.
    let headers = [
        json!({"alg": "HS256", "kid": "../../../../dev/null"}),
        json!({"alg": "HS256", "kid": "' OR 1=1 --"}),
        json!({"alg": "HS256", "jku": "http://127.0.0.1:1/keys", "x5u": "http://127.0.0.1:1/"}),
    ];
    let rightly = headers
        .clone()
        .map(|header| token(&header.to_string(), &claims()));
    assert_all(&rightly, 200);
    let forged = headers.map(|header| {
        let whole = token(&header.to_string(), &claims());
        let (signed, _) = whole.rsplit_once('.').unwrap();
        format!("{signed}.{}", signature(signed, b""))
    });
    assert_all(&forged, 401);
}

#[test]
fn a_claim_that_is_given_twice_is_refused() {
    let cases = [
        r#"{"sub":"user-123","sub":"user-123","name":"n"}"#,
        r#"{"sub":"someone","sub":"user-123","name":"n"}"#,
        r#"{"sub":"user-123","name":"n","name":"n"}"#,
        r#"{"sub":"user-123","name":"n","exp":1,"exp":99999999999}"#,
        r#"{"sub":"user-123","name":"n","nbf":99999999999,"nbf":1}"#,
    ];
    assert_all(&cases.map(|claims| token(HEADER, claims)), 401);
}

#[test]
fn base64_is_the_url_s_without_padding_and_of_one_form() {
    let whole = token(HEADER, &claims());
    let (signed, signature) = whole.rsplit_once('.').unwrap();
    let bytes = URL_SAFE_NO_PAD.decode(signature).unwrap();
    // The last letter holds four bits of the signature and two that must be zero.
    let last = signature.chars().last().unwrap();
    let alphabet: Vec<char> = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
        .chars()
        .collect();
    let index = alphabet.iter().position(|letter| *letter == last).unwrap();
    let stem = &signature[..signature.len() - 1];
    let mut tokens: Vec<_> = (1..4)
        .map(|bits| format!("{signed}.{stem}{}", alphabet[index + bits]))
        .collect();
    tokens.push(format!("{signed}.{}", URL_SAFE.encode(&bytes)));
    tokens.push(format!("{signed}.{signature}=="));
    tokens.push(format!("{signed}.{signature}A"));
    tokens.push(format!("{signed}.{stem}"));
    // A claim whose base64 has both letters that the two alphabets differ in.
    let (header, claims) = (
        URL_SAFE_NO_PAD.encode(HEADER),
        r#"{"sub":"??>>~~","name":"??>>~~"}"#,
    );
    let padded = format!("{header}.{}", URL_SAFE.encode(claims));
    let other = format!("{header}.{}", STANDARD.encode(claims.to_owned() + "  "));
    for signed in [padded, other] {
        tokens.push(format!(
            "{signed}.{}",
            self::signature(&signed, secret().as_bytes())
        ));
    }
    assert_all(&tokens, 401);
}

#[test]
fn dots_and_white_space_are_no_part_of_a_token() {
    let whole = token(HEADER, &claims());
    let changed = [
        format!("{whole}."),
        format!("{whole}.."),
        format!(".{whole}"),
        whole.replacen('.', "..", 1),
        whole.replacen('.', ". ", 1),
        format!("{whole}\tx"),
        format!("{whole},"),
        format!("{whole}%20"),
        format!("\"{whole}\""),
        ".".to_owned(),
        "....".to_owned(),
    ];
    assert_all(&changed, 401);
}

#[test]
fn huge_and_strange_claims_are_only_claims() {
    let target = Target::start();
    let huge = "x".repeat(10_000);
    let with = |name: &str| format!(r#"{{"sub":"user-123","name":"{name}"}}"#);
    assert_eq!(status(&target, &token(HEADER, &with(&huge))), 200);
    for (claims, expected) in [
        (
            format!(
                r#"{{"sub":"user-123","name":"n","exp":1e300,"x":{}}}"#,
                "9".repeat(500)
            ),
            200,
        ),
        (
            r#"{"sub":"user-123","name":"n","exp":1e400}"#.to_owned(),
            401,
        ),
        (
            r#"{"sub":"user-123","name":"n","exp":1e300}"#.to_owned(),
            200,
        ),
        (
            format!(
                r#"{{"sub":"user-123","name":"n","x":{}1{}}}"#,
                "[".repeat(5000),
                "]".repeat(5000)
            ),
            200,
        ),
        (r#"{"sub":"\ud800","name":"n"}"#.to_owned(), 401),
        ("\u{feff}".to_owned() + &with("n"), 401),
    ] {
        assert_eq!(
            status(&target, &token(HEADER, &claims)),
            expected,
            "{claims:.80}"
        );
    }
}

#[test]
fn numbers_and_texts_at_the_edge_are_the_contract_s() {
    let target = Target::start();
    let movie = |title: &str, year: &str, rating: &str| {
        format!(r#"{{"title":{title},"year":{year},"director":"d","genre":"g","rating":{rating}}}"#)
    };
    for (text, code) in [
        (movie(r#""\ud800""#, "1", "1"), ErrorCode::InvalidBody),
        (movie(r#""\udc00\ud800""#, "1", "1"), ErrorCode::InvalidBody),
        (movie(r#""\u12""#, "1", "1"), ErrorCode::MalformedBody),
        (movie(r#""\x41""#, "1", "1"), ErrorCode::MalformedBody),
        (movie(r#""t""#, "01", "1"), ErrorCode::MalformedBody),
        (movie(r#""t""#, "+1", "1"), ErrorCode::MalformedBody),
        (movie(r#""t""#, "0x1", "1"), ErrorCode::MalformedBody),
        (movie(r#""t""#, "1", "NaN"), ErrorCode::MalformedBody),
        (movie(r#""t""#, "1", "Infinity"), ErrorCode::MalformedBody),
        (movie(r#""t""#, "1", ".5"), ErrorCode::MalformedBody),
        (movie(r#""t""#, "1", "1."), ErrorCode::MalformedBody),
        (
            movie(r#""t""#, "1", &"9".repeat(400)),
            ErrorCode::InvalidBody,
        ),
        (
            movie(r#""t""#, &"9".repeat(400), "1"),
            ErrorCode::InvalidBody,
        ),
        (movie(r#""t""#, "1", "1") + "\0", ErrorCode::MalformedBody),
        (
            movie(r#""t""#, "1", "1").replace('"', "'"),
            ErrorCode::MalformedBody,
        ),
        (
            "/**/".to_owned() + &movie(r#""t""#, "1", "1"),
            ErrorCode::MalformedBody,
        ),
        (
            movie(r#""t""#, "1", "1").replace("\"rating\":1", "\"rating\":1,"),
            ErrorCode::MalformedBody,
        ),
    ] {
        let answer = target.post_movie(&text);
        assert_eq!(
            answer.status,
            code.status(),
            "{text:.100}: {}",
            answer.text()
        );
        assert_eq!(body(&answer)["error"], code.phrase(), "{text:.100}");
    }
    let tiny = movie(r#""\u0000""#, "-2147483648", "1e-400");
    let answer = target.post_movie(&tiny);
    assert_eq!(answer.status, 201, "{}", answer.text());
    assert_eq!(body(&answer)["rating"], json!(0.0));
    assert_eq!(body(&answer)["title"], "\u{0}");
}
