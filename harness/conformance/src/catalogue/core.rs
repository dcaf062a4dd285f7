//! The assertions of the public harness's k6 scripts.

use schema::{fixtures, routes};
use serde_json::Value;

use super::{ENDPOINTS, Group};
use crate::client::Exchange;
use crate::expect::dotted;
use crate::verdict::Verdict;
use crate::{Check, Level, Subject};

pub(super) fn checks() -> Vec<Check> {
    let core = Group {
        level: Level::Core,
        ..Group::work(ENDPOINTS)
    };
    vec![
        core.check(
            "info/200",
            "`GET /info` is 200 and has the header `x-response-id`.",
            info,
        ),
        core.check(
            "movies/201",
            "`POST /movies` with a token and a movie is 201 and has `id` and `user.id`.",
            movies,
        ),
        core.check(
            "catalog/200",
            "`GET /catalog` is 200 and has the product's `id` and a `vendor.name`.",
            catalog,
        ),
        core.check(
            "users-me/200",
            "`GET /users/me` with a token is 200 and has the user's `id` and a `city`.",
            users_me,
        ),
    ]
}

fn info(subject: &Subject) -> Verdict {
    let exchange = subject.send(subject.get(routes::INFO))?;
    exchange.has_status(200)?;
    // k6 joins the values of a repeated header.
    let mut headers = exchange.answer.headers.iter();
    match headers.any(|(name, value)| name == routes::RESPONSE_ID && !value.is_empty()) {
        true => Ok(()),
        false => exchange.fail(format!("the header {}", routes::RESPONSE_ID)),
    }
}

fn movies(subject: &Subject) -> Verdict {
    let exchange = subject.send(subject.post_k6_movie())?;
    exchange.has_status(201)?;
    is_truthy(&exchange, "/id")?;
    is_truthy(&exchange, "/user/id")
}

fn catalog(subject: &Subject) -> Verdict {
    let _guard = subject.upstream_if_any();
    let exchange = subject.send(subject.get(routes::CATALOG))?;
    exchange.has_status(200)?;
    has_id(&exchange, "prod-1")?;
    is_truthy(&exchange, "/vendor/name")
}

fn users_me(subject: &Subject) -> Verdict {
    let _guard = subject.database_if_any();
    let claims = fixtures::claims();
    let exchange = subject.send(subject.get_me(&claims))?;
    exchange.has_status(200)?;
    has_id(&exchange, &claims.sub)?;
    is_truthy(&exchange, "/city")
}

fn has_id(exchange: &Exchange, id: &str) -> Verdict {
    match exchange.field("/id")? == id {
        true => Ok(()),
        false => exchange.fail(format!("id {id:?}")),
    }
}

/// Fails where JavaScript takes the field for false: missing, null, false, zero or empty.
fn is_truthy(exchange: &Exchange, pointer: &str) -> Verdict {
    let is_falsy = match exchange.field(pointer)? {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Number(value) => value.as_f64() == Some(0.0),
        Value::String(value) => value.is_empty(),
        Value::Array(_) | Value::Object(_) => false,
    };
    match is_falsy {
        true => exchange.fail(format!("a value of {}", dotted(pointer))),
        false => Ok(()),
    }
}
