//! The OpenAPI 3.1 document of the target and of the upstream, built from the wire types, the
//! error table, the limits and the fixtures. `openapi.json` is this document checked in; a test
//! keeps the two the same: `UPDATE_OPENAPI=1 cargo test -p schema --test openapi` rewrites it.

mod responses;
mod target;
mod upstream;

use utoipa::ToSchema;
use utoipa::openapi::path::{Operation, PathItem, PathItemBuilder};
use utoipa::openapi::schema::{Components, ComponentsBuilder};
use utoipa::openapi::security::SecurityScheme;
use utoipa::openapi::tag::{Tag, TagBuilder};
use utoipa::openapi::{
    HttpMethod, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, OpenApiVersion, PathsBuilder,
    Ref, Server, ServerBuilder, ServerVariableBuilder,
};

use crate::{
    ErrorBody, ErrorCode, Info, Movie, Nested, NewMovie, Product, Profile, UserRef, Vendor, routes,
};

/// The document: every route with its statuses, bodies, headers, examples and security scheme.
#[must_use]
pub fn document() -> OpenApi {
    let paths = target::paths()
        .into_iter()
        .chain([(routes::HEALTH.to_owned(), health())])
        .chain(upstream::paths())
        .fold(PathsBuilder::new(), |paths, (path, item)| {
            paths.path(path, item)
        });
    let license = LicenseBuilder::new()
        .name(env!("CARGO_PKG_LICENSE"))
        .identifier(Some(env!("CARGO_PKG_LICENSE")));
    let info = InfoBuilder::new()
        .title("Reference target service suite")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(description()))
        .license(Some(license.build()));
    OpenApiBuilder::new()
        .openapi(OpenApiVersion::Version31)
        .info(info)
        .servers(Some([target::server()]))
        .tags(Some([
            tag(target::TAG, "What every contender is."),
            tag(upstream::TAG, "What the target's proxy scenario calls."),
        ]))
        .paths(paths)
        .components(Some(components()))
        .build()
}

/// The document as indented JSON with a newline at the end: the content of `openapi.json`.
#[must_use]
pub fn to_json() -> String {
    let json = document().to_pretty_json();
    json.expect("maps with text keys always serialise") + "\n"
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

fn tag(name: &str, description: &str) -> Tag {
    TagBuilder::new()
        .name(name)
        .description(Some(description))
        .build()
}

/// `GET /health`, the one route that both services have.
fn health() -> PathItem {
    let (internal, response) = responses::error(ErrorCode::Internal);
    let operation = Operation::builder()
        .operation_id(Some("get_health"))
        .tag(target::TAG)
        .tag(upstream::TAG)
        .summary(Some("200 while the process serves"))
        .response("200", responses::ok("The process serves."))
        .response(internal, response);
    PathItemBuilder::new()
        .servers(Some([target::server(), upstream::server()]))
        .operation(HttpMethod::Get, operation)
        .build()
}

fn components() -> Components {
    ErrorCode::ALL
        .into_iter()
        .fold(ComponentsBuilder::new(), |components, code| {
            components.response(format!("{code:?}"), responses::component(code))
        })
        .schema_from::<ErrorBody<'_>>()
        .schema_from::<Info<'_>>()
        .schema_from::<Nested<'_>>()
        .schema_from::<NewMovie<'_>>()
        .schema_from::<Movie<'_>>()
        .schema_from::<UserRef<'_>>()
        .schema_from::<Product<'_>>()
        .schema_from::<Vendor<'_>>()
        .schema_from::<Profile>()
        .security_scheme(target::TOKEN, SecurityScheme::Http(target::token()))
        .security_scheme(upstream::API_KEY, SecurityScheme::Http(upstream::api_key()))
        .build()
}

/// A service on this machine, on a port that an environment variable overrides.
fn server((variable, port): (&str, u16), description: &str) -> Server {
    let port = ServerVariableBuilder::new()
        .default_value(port.to_string())
        .description(Some("The environment variable of this name overrides it."));
    ServerBuilder::new()
        .url(format!("http://127.0.0.1:{{{variable}}}"))
        .description(Some(description))
        .parameter(variable, port)
        .build()
}

/// The schema of `T` among the components.
fn reference<T: ToSchema>() -> Ref {
    Ref::from_schema_name(T::name())
}
