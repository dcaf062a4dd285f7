//! What the public harness's k6 scripts assert of every answer.

use schema::{fixtures, routes};
use serde_json::Value;

use super::super::client::Exchange;
use super::super::verdict::{Failure, Verdict};
use super::super::{Check, Level, Subject};

const SOURCE: &str = "docs/CONTRACT.md#endpoints-of-the-target";

pub(super) fn checks() -> Vec<Check> {
    let core = |slug: &str, what: &str, run: fn(&Subject) -> Verdict| {
        Check::new(slug, Level::Core, what, SOURCE, run)
    };
    vec![
        core(
            "info/200",
            "`GET /info` is 200 and has the header `x-response-id`.",
            info,
        ),
        core(
            "movies/201",
            "`POST /movies` with a token and a movie is 201 and has `id` and `user.id`.",
            movies,
        ),
        core(
            "catalog/200",
            "`GET /catalog` is 200, its `id` is the product's and it has `vendor.name`.",
            catalog,
        ),
        core(
            "users-me/200",
            "`GET /users/me` with a token is 200, its `id` is the user's and it has `city`.",
            users_me,
        ),
    ]
}

fn info(subject: &Subject) -> Verdict {
    let exchange = subject.ask(subject.get(routes::INFO))?;
    exchange.has_status(200)?;
    if exchange
        .answer
        .header(routes::RESPONSE_ID)
        .is_none_or(str::is_empty)
    {
        return Err(exchange
            .failure(format!("the header {}", routes::RESPONSE_ID))
            .into());
    }
    Ok(())
}

fn movies(subject: &Subject) -> Verdict {
    let exchange = subject.ask(subject.post_k6_movie())?;
    exchange.has_status(201)?;
    is_truthy(&exchange, "/id")?;
    is_truthy(&exchange, "/user/id")?;
    Ok(())
}

fn catalog(subject: &Subject) -> Verdict {
    let _turn = subject.upstream_if_any();
    let exchange = subject.ask(subject.get(routes::CATALOG))?;
    exchange.has_status(200)?;
    is_text(&exchange, "/id", "prod-1")?;
    is_truthy(&exchange, "/vendor/name")?;
    Ok(())
}

fn users_me(subject: &Subject) -> Verdict {
    let _turn = subject.database_if_any();
    let claims = fixtures::claims();
    let exchange = subject.ask(subject.get_me(&claims))?;
    exchange.has_status(200)?;
    is_text(&exchange, "/id", &claims.sub)?;
    is_truthy(&exchange, "/city")?;
    Ok(())
}

fn is_text(exchange: &Exchange, pointer: &str, text: &str) -> Result<(), Failure> {
    if exchange.field(pointer)? == text {
        return Ok(());
    }
    Err(exchange.failure(format!("{} {text:?}", &pointer[1..])))
}

/// As JavaScript takes it: neither missing nor null, false, zero or empty.
fn is_truthy(exchange: &Exchange, pointer: &str) -> Result<(), Failure> {
    let falsy = match exchange.field(pointer)? {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Number(value) => value.as_f64() == Some(0.0),
        Value::String(value) => value.is_empty(),
        Value::Array(_) | Value::Object(_) => false,
    };
    if falsy {
        return Err(exchange.failure(format!("a value of {}", pointer[1..].replace('/', "."))));
    }
    Ok(())
}
