//! The upstream's routes.

use serde_json::Value;
use utoipa::openapi::path::{
    Operation, OperationBuilder, Parameter, ParameterBuilder, ParameterIn, PathItem,
    PathItemBuilder,
};
use utoipa::openapi::schema::{Object, ObjectBuilder, Type};
use utoipa::openapi::security::{Http, HttpAuthScheme, HttpBuilder, SecurityRequirement};
use utoipa::openapi::{
    ContentBuilder, HeaderBuilder, HttpMethod, Required, ResponseBuilder, Server,
};

use super::responses::{self, JSON};
use crate::env::{UPSTREAM_API_KEY, UPSTREAM_FAULTS, UPSTREAM_PORT};
use crate::fault::Fault;
use crate::limits::UPSTREAM_BODY_MAX_BYTES;
use crate::{ErrorCode, Product, routes};

pub(super) const TAG: &str = "upstream";
/// Name of the security scheme of [`api_key`].
pub(super) const API_KEY: &str = "apiKey";

/// Name of the path's parameter.
const FAULT: &str = "fault";

pub(super) fn server() -> Server {
    super::server(UPSTREAM_PORT, "The upstream")
}

/// The scheme of the routes that ask for the key.
pub(super) fn api_key() -> Http {
    HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some(format!(
            "The value of `{}`, compared in constant time.",
            UPSTREAM_API_KEY.name
        )))
        .build()
}

pub(super) fn paths() -> [(String, PathItem); 2] {
    let faults = format!(
        "{}{{{FAULT}}}{}",
        routes::UPSTREAM_FAULTS,
        routes::UPSTREAM_DATA
    );
    [
        (routes::UPSTREAM_DATA.to_owned(), data()),
        (faults, fault()),
    ]
    .map(|(path, operation)| {
        let item = PathItemBuilder::new()
            .servers(Some([server()]))
            .operation(HttpMethod::Get, operation)
            .build();
        (path, item)
    })
}

fn data() -> OperationBuilder {
    let description = "The product: compact JSON, the same bytes every time.";
    let success = responses::json::<Product<'_>>(description, responses::product());
    operation("get_data", "The product, behind the API key").response("200", success)
}

fn fault() -> OperationBuilder {
    let product = ContentBuilder::new().example(Some(responses::product()));
    let success = ResponseBuilder::new()
        .description("The product, or what the fault makes of it: hence no schema.")
        .content(JSON, product);
    let location = HeaderBuilder::new()
        .description(Some("The real product."))
        .schema(Some(Object::with_type(Type::String)))
        .example(Some(routes::UPSTREAM_DATA.into()));
    let redirect = responses::json::<Product<'_>>("`redirect`.", responses::product())
        .header("Location", location.build());
    let any = "`status-<code>`: the product, under a status that is listed here as well.";
    let any = responses::json::<Product<'_>>(any, responses::product());
    let (status, not_found) = responses::error(ErrorCode::NotFound);
    operation("get_fault", "The product, with a fault")
        .description(Some(format!(
            "Only with `{}=1`; without it, and for a name that is no fault, the path is unknown. \
             A contender meets a fault when its `UPSTREAM_URL` ends in `{}<fault>`.",
            UPSTREAM_FAULTS.name,
            routes::UPSTREAM_FAULTS
        )))
        .parameter(parameter())
        .response("200", success)
        .response("302", redirect)
        .response(status, not_found)
        .response("default", any)
}

fn parameter() -> Parameter {
    let faults = Fault::NAMES.map(|name| {
        let sample = name.replace("<code>", "503").replace("<ms>", "250");
        let fault = Fault::parse(&sample).expect("every name is a fault's");
        (name, sample, fault)
    });
    let description: String = faults
        .iter()
        .map(|(name, _, fault)| format!("- `{name}`: {}\n", meaning(*fault)))
        .collect();
    let pattern = Fault::NAMES
        .join("|")
        .replace("<code>", "[2-5][0-9]{2}")
        .replace("<ms>", "[0-9]{1,5}");
    let schema = ObjectBuilder::new()
        .schema_type(Type::String)
        .pattern(Some(format!("^({pattern})$")))
        .examples(faults.map(|(_, sample, _)| Value::from(sample)));
    ParameterBuilder::new()
        .name(FAULT)
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .description(Some(description))
        .schema(Some(schema))
        .build()
}

/// What the upstream does to its answer.
fn meaning(fault: Fault) -> String {
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

/// An operation of the upstream behind the key.
fn operation(operation_id: &str, summary: &str) -> OperationBuilder {
    let (status, invalid_api_key) = responses::error(ErrorCode::InvalidApiKey);
    Operation::builder()
        .operation_id(Some(operation_id))
        .tag(TAG)
        .summary(Some(summary))
        .security(SecurityRequirement::new::<_, [&str; 0], _>(API_KEY, []))
        .response(status, invalid_api_key)
}
