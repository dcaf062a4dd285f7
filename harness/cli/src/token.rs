//! `harness token`: a token for requests by hand.

use anyhow::Result;
use clap::Args;
use schema::env::JWT_SECRET;
use schema::{Claims, fixtures};
use testbed::terminal::print;

use super::external::secret;

/// Options of `harness token`.
#[derive(Args, Debug)]
pub(super) struct TokenOptions {
    /// Subject, the user's id [default: the seed row's]
    #[arg(long)]
    sub: Option<String>,
    /// Name of the user [default: the seed row's]
    #[arg(long)]
    name: Option<String>,
    /// Expiry, in seconds since the epoch [default: never]
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true)]
    exp: Option<i64>,
}

/// Runs the command.
pub(super) fn token(options: TokenOptions) -> Result<()> {
    let secret = secret(&JWT_SECRET)?;
    let Claims { sub, name, iat, .. } = fixtures::claims();
    let claims = Claims {
        sub: options.sub.unwrap_or(sub),
        name: options.name.unwrap_or(name),
        iat,
        exp: options.exp.map(Into::into),
        nbf: None,
    };
    print(testbed::token::sign(&claims, &secret));
    Ok(())
}
