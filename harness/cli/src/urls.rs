//! `harness urls`: where the services are, and requests to paste.

use anyhow::Result;
use clap::Args;
use schema::env::{JWT_SECRET, POSTGRES_PORT, bench_value};
use schema::{fixtures, routes};
use testbed::terminal::{postgres_url, print, quoted, url};
use testbed::{table, token};

use super::status::postgres_port;
use super::up::UpOptions;

/// Options of `harness urls`.
#[derive(Args, Debug)]
pub(super) struct UrlsOptions {
    #[command(flatten)]
    ports: UpOptions,
    /// Port of Postgres, unless `up` started one
    #[arg(long, value_name = "PORT", env = POSTGRES_PORT.0, default_value_t = POSTGRES_PORT.1,
          hide_env_values = true)]
    postgres_port: u16,
}

/// Runs the command.
pub(super) fn urls(options: &UrlsOptions) -> Result<()> {
    let postgres_port = postgres_port().unwrap_or(options.postgres_port);
    show(&options.ports, postgres_port)
}

/// Prints a table of the services, and a request for each route.
pub(super) fn show(ports: &UpOptions, postgres_port: u16) -> Result<()> {
    let target = url(ports.target_port);
    let rows = [
        ["target", &target, "the four endpoints"],
        [
            "upstream",
            &url(ports.upstream_port),
            "the product, behind an API key, and faults on demand",
        ],
        [
            "postgres",
            &postgres_url(postgres_port),
            "the seeded users; not durable",
        ],
    ];
    let rows = rows.map(|row| row.map(str::to_owned));
    print(format_args!(
        "{}\n",
        table::texts(["SERVICE", "URL", "CONTENT"], rows)
    ));
    let token = token::sign(&fixtures::claims(), bench_value(&JWT_SECRET));
    let token = format!("-H 'Authorization: Bearer {token}'");
    let movie = quoted(&serde_json::to_string(&fixtures::new_movie())?);
    let movie = format!("-H 'Content-Type: application/json' -d {movie}");
    print(format_args!("curl -i {target}{}", routes::INFO));
    print(format_args!("curl {target}{}", routes::CATALOG));
    print(format_args!("curl {target}{} {token}", routes::USERS_ME));
    print(format_args!(
        "curl {target}{} {token} {movie}",
        routes::MOVIES
    ));
    Ok(())
}
