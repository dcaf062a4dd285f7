//! The routes of the target and the upstream, and the servers that have them.

use serde_json::{Value, json};
use uuid::{Uuid, uuid};

use super::responses::{body, body_with_header, by_status, example, ok, product, reference};
use super::{API_KEY, TARGET, TOKEN, UPSTREAM};
use crate::env::{TARGET_PORT, UPSTREAM_FAULTS, UPSTREAM_PORT};
use crate::fault::Fault;
use crate::limits::{
    JSON_DEPTH_MAX, REQUEST_BODY_MAX_BYTES, REQUEST_BODY_TIMEOUT, UPSTREAM_BODY_MAX_BYTES,
};
use crate::{
    Claims, ErrorCode, Info, Movie, NewMovie, Product, Profile, UserRef, fixtures, routes,
};

/// Stands for the fresh UUID v4 that every response carries.
const FRESH_ID: Uuid = uuid!("0b7e9a52-6c1d-4f38-9e47-2a5d8c3b1f60");

/// Returns every path with its operation.
pub(super) fn all() -> Value {
    let faults = format!(
        "{}{{fault}}{}",
        routes::UPSTREAM_FAULTS,
        routes::UPSTREAM_DATA
    );
    json!({
        (routes::INFO): { "get": info() },
        (routes::MOVIES): { "post": movies() },
        (routes::CATALOG): { "get": catalog("get_catalog") },
        (routes::PROXY): { "get": catalog("get_proxy") },
        (routes::USERS_ME): { "get": users_me() },
        (routes::READY): { "get": ready() },
        (routes::HEALTH): { "servers": [target(), upstream()], "get": health() },
        (routes::UPSTREAM_DATA): { "servers": [upstream()], "get": data() },
        (faults): { "servers": [upstream()], "get": fault() },
    })
}

/// Returns the target on this machine.
pub(super) fn target() -> Value {
    server(TARGET_PORT, "The target")
}

fn upstream() -> Value {
    server(UPSTREAM_PORT, "The upstream")
}

fn server((variable, port): (&str, u16), description: &str) -> Value {
    json!({
        "url": format!("http://127.0.0.1:{{{variable}}}"),
        "description": description,
        "variables": {
            (variable): {
                "default": port.to_string(),
                "description": "The environment variable of this name overrides it.",
            },
        },
    })
}

fn operation(tags: &[&str], summary: &str, id: &str, responses: &Value) -> Value {
    json!({ "tags": tags, "summary": summary, "operationId": id, "responses": responses })
}

fn info() -> Value {
    let id = json!({
        "schema": { "type": "string", "format": "uuid" },
        "description": "A fresh UUID v4.",
        "example": FRESH_ID,
        "required": true,
    });
    let header = (routes::RESPONSE_ID, &id);
    let success = body_with_header::<Info<'_>>("The info.", header, &example(&fixtures::info()));
    let responses = by_status([("200", success)], &[ErrorCode::Internal]);
    operation(
        &[TARGET],
        "A typed value, serialised anew",
        "get_info",
        &responses,
    )
}

fn movies() -> Value {
    let Claims { sub, name, .. } = fixtures::claims();
    let created = example(&Movie {
        new: fixtures::new_movie(),
        id: FRESH_ID,
        user: UserRef {
            id: sub.into(),
            name: name.into(),
        },
    });
    let description = "The movie, its fresh id and its creator.";
    let errors = [
        ErrorCode::MalformedBody,
        ErrorCode::InvalidToken,
        ErrorCode::RequestTimeout,
        ErrorCode::BodyTooLarge,
        ErrorCode::UnsupportedMediaType,
        ErrorCode::InvalidBody,
        ErrorCode::Internal,
    ];
    json!({
        "tags": [TARGET],
        "summary": "A token and a JSON body in, a movie out",
        "operationId": "create_movie",
        "requestBody": new_movie(),
        "responses": by_status([("201", body::<Movie<'_>>(description, &created))], &errors),
        "security": [{ (TOKEN): [] }],
    })
}

fn new_movie() -> Value {
    let movie = example(&fixtures::new_movie());
    let mut integer_rating = movie.clone();
    integer_rating["rating"] = 8.into();
    let description = format!(
        "At most {} KiB, nested at most {JSON_DEPTH_MAX} deep, within {REQUEST_BODY_TIMEOUT:?}. \
         Content types with the suffix `+json` are JSON too.",
        REQUEST_BODY_MAX_BYTES / 1024
    );
    let examples = json!({
        "integerRating": { "summary": "An integer is a valid rating", "value": integer_rating },
        "movie": { "summary": "A movie", "value": movie },
    });
    let content = json!({ "schema": reference::<NewMovie<'_>>(), "examples": examples });
    json!({
        "description": description,
        "content": { "application/json": content },
        "required": true,
    })
}

/// Returns `GET /catalog`, or its alias under another operation id.
fn catalog(id: &str) -> Value {
    let success = body::<Product<'_>>("The upstream's product.", &product());
    let errors = [
        ErrorCode::Internal,
        ErrorCode::UpstreamUnavailable,
        ErrorCode::UpstreamTimeout,
    ];
    let summary = "The upstream's product, decoded and encoded again";
    operation(
        &[TARGET],
        summary,
        id,
        &by_status([("200", success)], &errors),
    )
}

fn users_me() -> Value {
    let success = body::<Profile>("The user's profile.", &example(&fixtures::profile()));
    let errors = [
        ErrorCode::InvalidToken,
        ErrorCode::UserNotFound,
        ErrorCode::Internal,
        ErrorCode::DatabaseUnavailable,
    ];
    let responses = by_status([("200", success)], &errors);
    let mut operation = operation(
        &[TARGET],
        "The row of the token's user",
        "get_me",
        &responses,
    );
    operation["security"] = json!([{ (TOKEN): [] }]);
    operation
}

fn ready() -> Value {
    let success = ok("Postgres and the upstream answer.");
    let errors = [ErrorCode::Internal, ErrorCode::NotReady];
    let summary = "200 when Postgres and the upstream answer";
    let responses = by_status([("200", success)], &errors);
    operation(&[TARGET], summary, "get_ready", &responses)
}

/// Returns `GET /health`, the one route that both services have.
fn health() -> Value {
    let responses = by_status([("200", ok("The process serves."))], &[ErrorCode::Internal]);
    let summary = "200 while the process serves";
    operation(&[TARGET, UPSTREAM], summary, "get_health", &responses)
}

fn data() -> Value {
    let description = "The product: compact JSON, the same bytes every time.";
    let success = body::<Product<'_>>(description, &product());
    let responses = by_status([("200", success)], &[ErrorCode::InvalidApiKey]);
    let summary = "The product, behind the API key";
    let mut operation = operation(&[UPSTREAM], summary, "get_data", &responses);
    operation["security"] = json!([{ (API_KEY): [] }]);
    operation
}

fn fault() -> Value {
    let success = json!({
        "description": "The product, or what the fault makes of it: hence no schema.",
        "content": { "application/json": { "example": product() } },
    });
    let location = json!({
        "schema": { "type": "string" },
        "description": "The real product.",
        "example": routes::UPSTREAM_DATA,
    });
    let redirect =
        body_with_header::<Product<'_>>("`redirect`.", ("Location", &location), &product());
    let any = "`status-<code>`: the product, under a status that is listed here as well.";
    let successes = [
        ("200", success),
        ("302", redirect),
        ("default", body::<Product<'_>>(any, &product())),
    ];
    let description = format!(
        "Only with `{}=1`; without it, and for a name that is no fault, the path is unknown. A \
         contender meets a fault when its `UPSTREAM_URL` ends in `{}<fault>`.",
        UPSTREAM_FAULTS.name,
        routes::UPSTREAM_FAULTS
    );
    json!({
        "tags": [UPSTREAM],
        "summary": "The product, with a fault",
        "description": description,
        "operationId": "get_fault",
        "parameters": [fault_parameter()],
        "responses": by_status(successes, &[ErrorCode::InvalidApiKey, ErrorCode::NotFound]),
        "security": [{ (API_KEY): [] }],
    })
}

fn fault_parameter() -> Value {
    let samples = Fault::NAMES.map(|name| name.replace("<code>", "503").replace("<ms>", "250"));
    let description: String = Fault::NAMES
        .iter()
        .zip(&samples)
        .map(|(name, sample)| {
            let fault = Fault::parse(sample).expect("every name is a fault's");
            format!("- `{name}`: {}\n", effect(fault))
        })
        .collect();
    let pattern = Fault::NAMES
        .join("|")
        .replace("<code>", "[2-5][0-9]{2}")
        .replace("<ms>", "[0-9]{1,5}");
    json!({
        "name": "fault",
        "in": "path",
        "description": description,
        "required": true,
        "schema": {
            "type": "string",
            "examples": samples,
            "pattern": format!("^({pattern})$"),
        },
    })
}

/// Returns the effect of a fault on the upstream's answer.
fn effect(fault: Fault) -> String {
    match fault {
        Fault::Status(_) => "the product under this status, 200 to 599.".to_owned(),
        Fault::Delay(_) => "the product after this many milliseconds, at most 60000.".to_owned(),
        Fault::Hang => "no answer, ever.".to_owned(),
        Fault::Reset => "the connection is reset before the answer.".to_owned(),
        Fault::Truncate => "the connection ends in the middle of the product.".to_owned(),
        Fault::Trickle => "the product a byte at a time, far too slowly.".to_owned(),
        Fault::Malformed => "200, but not JSON.".to_owned(),
        Fault::WrongShape => "200 and JSON, but no product.".to_owned(),
        Fault::Redirect => "302 to the real product.".to_owned(),
        Fault::Huge => format!(
            "a valid product of more than {} KiB, in chunks.",
            2 * UPSTREAM_BODY_MAX_BYTES / 1024
        ),
    }
}
