//! `harness contract`: the contract as machines and people read it.

use clap::{Args, ValueEnum};
use testbed::terminal::print;

/// Options of `harness contract`.
#[derive(Args, Debug)]
pub(super) struct ContractOptions {
    /// Print one of them only
    part: Option<Part>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Part {
    Openapi,
    Checks,
}

/// Runs the command.
pub(super) fn contract(options: &ContractOptions) {
    if options.part != Some(Part::Checks) {
        print(schema::OPENAPI_JSON.trim_end());
    }
    if options.part != Some(Part::Openapi) {
        print(conformance::checks_table(&conformance::all()).trim_end());
    }
}
