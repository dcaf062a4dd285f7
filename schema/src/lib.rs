//! The contract of the suite as code. Every fact that the services, the harness, the compose file
//! and the documents share has its one home here. No I/O, no web framework.
//!
//! Facts that other languages read too are plain files beside `src/`: `bench.env`, `product.json`
//! and `sql/*.sql` are embedded here, `openapi.json` is generated from the module `openapi`.

pub mod claims;
pub mod env;
pub mod error;
pub mod fault;
pub mod fixtures;
pub mod json;
pub mod limits;
#[cfg(feature = "openapi")]
pub mod openapi;
pub mod routes;
pub mod sql;
mod wire;

/// The contract as an OpenAPI 3.1 document, as it is checked in.
pub const OPENAPI_JSON: &str = include_str!("../openapi.json");

pub use claims::Claims;
pub use error::{ErrorBody, ErrorCode};
pub use wire::{Info, Movie, Nested, NewMovie, Product, Profile, UserRef, Vendor};
