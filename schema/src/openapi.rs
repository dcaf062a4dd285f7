//! The OpenAPI 3.1 document of the target and the upstream, built from the wire types, the error table, the
//! limits and the fixtures. `openapi.json` is this document checked in;
//! `UPDATE_OPENAPI=1 cargo test -p schema --test openapi` rewrites it.

mod paths;
mod responses;

use std::collections::BTreeMap;

use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::env::{JWT_SECRET, UPSTREAM_API_KEY};
use crate::{
    ErrorBody, ErrorCode, Info, Movie, Nested, NewMovie, Product, Profile, UserRef, Vendor,
    fixtures,
};

/// Names of the two services in the document.
const TARGET: &str = "target";
const UPSTREAM: &str = "upstream";

/// Names of the two security schemes.
const TOKEN: &str = "token";
const API_KEY: &str = "apiKey";

/// Returns the document as indented JSON with a newline at the end: the content of `openapi.json`.
#[must_use]
pub fn to_json() -> String {
    let license = env!("CARGO_PKG_LICENSE");
    let document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Reference target service suite",
            "description": description(),
            "license": { "name": license, "identifier": license },
            "version": env!("CARGO_PKG_VERSION"),
        },
        "servers": [paths::target()],
        "paths": paths::all(),
        "components": {
            "schemas": schemas(),
            "responses": BTreeMap::from(
                ErrorCode::ALL.map(|code| (format!("{code:?}"), responses::component(code)))
            ),
            "securitySchemes": security_schemes(),
        },
        "tags": [
            { "name": TARGET, "description": "The service that every contender implements." },
            { "name": UPSTREAM, "description": "The service that the target's proxy scenario calls." },
        ],
    });
    let text = serde_json::to_string_pretty(&document);
    text.expect("maps with text keys always serialise") + "\n"
}

fn description() -> String {
    let unknown_path = ErrorCode::NotFound;
    let other_method = ErrorCode::MethodNotAllowed;
    format!(
        "The contract of the suite: the target's routes and the upstream's.\n\n\
         `HEAD` works wherever `GET` is listed and answers the same head. On either service an \
         unknown path is answered with {} (`#/components/responses/{unknown_path:?}`) and another \
         method of a known path with {} (`#/components/responses/{other_method:?}`), whatever the \
         token.\n\n\
         The body of every error is an `ErrorBody`; causes of 5xx are logged and never sent.",
        unknown_path.status(),
        other_method.status(),
    )
}

fn schemas() -> BTreeMap<String, Value> {
    fn schema<T: ToSchema>() -> (String, Value) {
        let schema = serde_json::to_value(T::schema());
        (T::name().into_owned(), schema.expect("schemas serialise"))
    }
    BTreeMap::from([
        schema::<ErrorBody<'_>>(),
        schema::<Info<'_>>(),
        schema::<Nested<'_>>(),
        schema::<NewMovie<'_>>(),
        schema::<Movie<'_>>(),
        schema::<UserRef<'_>>(),
        schema::<Product<'_>>(),
        schema::<Vendor<'_>>(),
        schema::<Profile>(),
    ])
}

fn security_schemes() -> Value {
    let claims = serde_json::to_string(&fixtures::claims()).expect("claims serialise");
    let api_key = format!(
        "The value of `{}`, compared in constant time.",
        UPSTREAM_API_KEY.name
    );
    let token = format!(
        "HS256 only; the secret is the UTF-8 bytes of `{}`. `sub` and `name` are texts that are \
         not empty, `exp` and `nbf` are enforced when present, without leeway; a claim of the \
         wrong type is a bad token, other claims are ignored. The public harness sends `{claims}`.",
        JWT_SECRET.name
    );
    json!({
        (API_KEY): { "type": "http", "scheme": "bearer", "description": api_key },
        (TOKEN): {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": token,
        },
    })
}
