//! The target's routes.

use utoipa::openapi::example::ExampleBuilder;
use utoipa::openapi::path::{Operation, OperationBuilder, PathItem};
use utoipa::openapi::request_body::{RequestBody, RequestBodyBuilder};
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::security::{Http, HttpAuthScheme, HttpBuilder, SecurityRequirement};
use utoipa::openapi::{ContentBuilder, HttpMethod, Required, ResponseBuilder, Server};
use uuid::{Uuid, uuid};

use super::reference;
use super::responses::{self, JSON};
use crate::env::{JWT_SECRET, TARGET_PORT};
use crate::limits::{JSON_DEPTH_MAX, REQUEST_BODY_MAX_BYTES, REQUEST_BODY_TIMEOUT};
use crate::{
    Claims, ErrorCode, Info, Movie, NewMovie, Product, Profile, UserRef, fixtures, routes,
};

pub(super) const TAG: &str = "target";
/// Name of the security scheme of [`token`].
pub(super) const TOKEN: &str = "token";

/// Stands for the fresh UUID v4 that every response carries.
const FRESH_ID: Uuid = uuid!("0b7e9a52-6c1d-4f38-9e47-2a5d8c3b1f60");

pub(super) fn server() -> Server {
    super::server(TARGET_PORT, "The target")
}

/// The scheme of the routes that ask for a token.
pub(super) fn token() -> Http {
    let claims = serde_json::to_string(&fixtures::claims()).expect("claims serialise");
    HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("JWT")
        .description(Some(format!(
            "HS256 only; the secret is the UTF-8 bytes of `{}`. `sub` and `name` are texts that \
             are not empty, `exp` and `nbf` are enforced when present, without leeway; a claim of \
             the wrong type is a bad token, other claims are ignored. The public harness sends \
             `{claims}`.",
            JWT_SECRET.name
        )))
        .build()
}

pub(super) fn paths() -> [(String, PathItem); 6] {
    [
        (routes::INFO, HttpMethod::Get, info()),
        (routes::MOVIES, HttpMethod::Post, movies()),
        (routes::CATALOG, HttpMethod::Get, catalog("get_catalog")),
        (routes::PROXY, HttpMethod::Get, catalog("get_proxy")),
        (routes::USERS_ME, HttpMethod::Get, users_me()),
        (routes::READY, HttpMethod::Get, ready()),
    ]
    .map(|(path, method, operation)| (path.to_owned(), PathItem::new(method, operation)))
}

fn info() -> OperationBuilder {
    let id = ObjectBuilder::new()
        .schema_type(Type::String)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Uuid)));
    let id = responses::header("A fresh UUID v4.", id, FRESH_ID.to_string());
    let info = responses::example(&fixtures::info());
    let success = responses::json::<Info<'_>>("The info.", info).header(routes::RESPONSE_ID, id);
    operation(
        "get_info",
        "A typed value, serialised anew",
        "200",
        success,
        &[],
    )
}

fn movies() -> OperationBuilder {
    let Claims { sub, name, .. } = fixtures::claims();
    let movie = Movie {
        new: fixtures::new_movie(),
        id: FRESH_ID,
        user: UserRef {
            id: sub.into(),
            name: name.into(),
        },
    };
    let movie = responses::example(&movie);
    let success = responses::json::<Movie<'_>>("The movie, its fresh id and its creator.", movie);
    let errors = [
        ErrorCode::MalformedBody,
        ErrorCode::InvalidToken,
        ErrorCode::RequestTimeout,
        ErrorCode::BodyTooLarge,
        ErrorCode::UnsupportedMediaType,
        ErrorCode::InvalidBody,
    ];
    let summary = "A token and a JSON body in, a movie out";
    operation("create_movie", summary, "201", success, &errors)
        .request_body(Some(new_movie()))
        .security(with_token())
}

fn new_movie() -> RequestBody {
    let movie = responses::example(&fixtures::new_movie());
    let mut integer_rating = movie.clone();
    integer_rating["rating"] = 8.into();
    let examples = [
        ("movie", "A movie", movie),
        (
            "integerRating",
            "An integer is a valid rating",
            integer_rating,
        ),
    ]
    .map(|(name, summary, movie)| {
        let example = ExampleBuilder::new().summary(summary).value(Some(movie));
        (name, example)
    });
    let content = ContentBuilder::new()
        .schema(Some(reference::<NewMovie<'_>>()))
        .examples_from_iter(examples);
    RequestBodyBuilder::new()
        .description(Some(format!(
            "At most {} KiB, nested at most {JSON_DEPTH_MAX} deep, within {REQUEST_BODY_TIMEOUT:?}. \
             Content types with the suffix `+json` are JSON too. A 32-bit integer is written \
             without a fraction.",
            REQUEST_BODY_MAX_BYTES / 1024
        )))
        .content(JSON, content)
        .required(Some(Required::True))
        .build()
}

/// `GET /catalog`, and its alias under another operation id.
fn catalog(operation_id: &str) -> OperationBuilder {
    let success = responses::json::<Product<'_>>("The upstream's product.", responses::product());
    let errors = [ErrorCode::UpstreamUnavailable, ErrorCode::UpstreamTimeout];
    let summary = "The upstream's product, decoded and encoded again";
    operation(operation_id, summary, "200", success, &errors)
}

fn users_me() -> OperationBuilder {
    let profile = responses::example(&fixtures::profile());
    let success = responses::json::<Profile>("The user's profile.", profile);
    let errors = [
        ErrorCode::InvalidToken,
        ErrorCode::UserNotFound,
        ErrorCode::DatabaseUnavailable,
    ];
    let summary = "The row of the token's user";
    operation("get_me", summary, "200", success, &errors).security(with_token())
}

fn ready() -> OperationBuilder {
    let success = responses::ok("Postgres and the upstream answer.");
    let summary = "200 when Postgres and the upstream answer";
    operation("get_ready", summary, "200", success, &[ErrorCode::NotReady])
}

fn with_token() -> SecurityRequirement {
    SecurityRequirement::new::<_, [&str; 0], _>(TOKEN, [])
}

/// An operation of the target; any of them can fail in an unforeseen way.
fn operation(
    operation_id: &str,
    summary: &str,
    status: &str,
    success: ResponseBuilder,
    errors: &[ErrorCode],
) -> OperationBuilder {
    let operation = Operation::builder()
        .operation_id(Some(operation_id))
        .tag(TAG)
        .summary(Some(summary))
        .response(status, success);
    errors
        .iter()
        .chain(&[ErrorCode::Internal])
        .fold(operation, |operation, code| {
            let (status, response) = responses::error(*code);
            operation.response(status, response)
        })
}
