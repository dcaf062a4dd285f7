//! The contract as an OpenAPI 3.1 document, generated from the wire types, the routes and the error
//! table. `openapi.json` is [`to_json`], checked in.

mod responses;
mod target;
mod upstream;

use utoipa::ToSchema;
use utoipa::openapi::path::{Operation, PathItem, PathItemBuilder};
use utoipa::openapi::security::SecurityScheme;
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{
    Components, ComponentsBuilder, HttpMethod, Info, InfoBuilder, LicenseBuilder, OpenApi,
    OpenApiBuilder, Paths, PathsBuilder, Ref, Server, ServerBuilder, Tag,
};

use crate::{ErrorBody, Movie, Nested, NewMovie, Product, Profile, UserRef, Vendor, routes};

const DESCRIPTION: &str = "\
What every contender of the suite does (tag `target`) and what the service behind its proxy scenario \
does (tag `upstream`), at the level `strict` of `docs/CONTRACT.md`.

`HEAD` works where `GET` does. On either service an unknown path is answered with the response \
`NotFound`, and a known path with any other method with `MethodNotAllowed`.";

/// The document.
#[must_use]
pub fn document() -> OpenApi {
    OpenApiBuilder::new()
        .info(info())
        .tags(Some([
            tag(target::TAG, "The contender."),
            tag(upstream::TAG, "The service that the target calls."),
        ]))
        .paths(paths())
        .components(Some(components()))
        .build()
}

/// The document as the text of `openapi.json`.
#[must_use]
pub fn to_json() -> String {
    let json = serde_json::to_string_pretty(&document()).expect("a document always serialises");
    json + "\n"
}

fn info() -> Info {
    let license = env!("CARGO_PKG_LICENSE");
    InfoBuilder::new()
        .title("Reference target service suite")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(DESCRIPTION))
        .license(Some(
            LicenseBuilder::new()
                .name(license)
                .identifier(Some(license))
                .build(),
        ))
        .build()
}

fn tag(name: &str, description: &str) -> Tag {
    TagBuilder::new()
        .name(name)
        .description(Some(description))
        .build()
}

fn paths() -> Paths {
    let paths = target::paths()
        .into_iter()
        .chain([(routes::HEALTH.to_owned(), health())])
        .chain(upstream::paths());
    paths
        .fold(PathsBuilder::new(), |all, (path, item)| {
            all.path(path, item)
        })
        .build()
}

/// The one path that both services know.
fn health() -> PathItem {
    let health = Operation::builder()
        .operation_id(Some("get_health"))
        .tags(Some([target::TAG, upstream::TAG]))
        .summary(Some("200 while the process serves"))
        .response("200", responses::ok("The process serves."));
    PathItemBuilder::new()
        .servers(Some([target::server(), upstream::server()]))
        .operation(HttpMethod::Get, health)
        .build()
}

/// A service where the suite serves it, unless the port's variable overrides it.
fn server((variable, port): (&str, u16), name: &str) -> Server {
    ServerBuilder::new()
        .url(format!("http://127.0.0.1:{port}"))
        .description(Some(format!("{name}; `{variable}` overrides the port.")))
        .build()
}

/// Reference to the schema of a wire type.
fn reference<T: ToSchema>() -> Ref {
    Ref::from_schema_name(T::name())
}

fn components() -> Components {
    ComponentsBuilder::new()
        .schema_from::<crate::Info<'_>>()
        .schema_from::<Nested<'_>>()
        .schema_from::<NewMovie<'_>>()
        .schema_from::<Movie<'_>>()
        .schema_from::<UserRef<'_>>()
        .schema_from::<Product<'_>>()
        .schema_from::<Vendor<'_>>()
        .schema_from::<Profile>()
        .schema_from::<ErrorBody<'_>>()
        .responses_from_iter(responses::errors())
        .security_scheme(target::TOKEN, SecurityScheme::Http(target::token()))
        .security_scheme(upstream::API_KEY, SecurityScheme::Http(upstream::api_key()))
        .build()
}
