//! `GET /health` and `GET /ready`: of the suite's own services, for whoever starts them.

use schema::fault::Fault;
use schema::{ErrorCode, fixtures, routes};

use super::super::client::Exchange;
use super::super::upstream::Behaviour;
use super::super::verdict::{Failure, Verdict};
use super::super::{Check, Level, Side, Subject};

const SOURCE: &str = "docs/CONTRACT.md#endpoints-of-the-target";

pub(super) fn checks() -> Vec<Check> {
    use Level::Strict;
    vec![
        Check::new(
            "health/200",
            Strict,
            "`GET /health` is 200 `ok` while the process serves.",
            SOURCE,
            |subject| Ok(is_ok(&subject.ask(subject.get(routes::HEALTH))?)?),
        ),
        Check::new(
            "ready/200",
            Strict,
            "`GET /ready` is 200 `ok` when Postgres and the upstream answer.",
            SOURCE,
            |subject| {
                let _upstream = subject.upstream_if_any();
                let _database = subject.database_if_any();
                Ok(is_ok(&subject.ask(subject.get(routes::READY))?)?)
            },
        ),
        Check::new(
            "ready/503-upstream",
            Strict,
            "`GET /ready` is 503 while the upstream fails, and the detail names it.",
            SOURCE,
            |subject| {
                let upstream = subject.upstream()?;
                let _database = subject.database_if_any();
                upstream.behave(Behaviour::Fault(Fault::Status(500)));
                not_ready(subject, ErrorCode::UpstreamUnavailable)?;
                upstream.serve(fixtures::PRODUCT_JSON);
                Ok(is_ok(&subject.ask(subject.get(routes::READY))?)?)
            },
        )
        .needs(&[Side::Upstream])
        .fault(),
        Check::new(
            "ready/503-database",
            Strict,
            "`GET /ready` is 503 while Postgres is stopped, and the detail names it; `GET /health` is 200 all the same.",
            SOURCE,
            |subject| {
                // The detail would name the upstream too while another check has it fail.
                let _upstream = subject.upstream_if_any();
                let database = subject.database()?;
                database.while_stopped(|| -> Verdict {
                    is_ok(&subject.ask(subject.get(routes::HEALTH))?)?;
                    not_ready(subject, ErrorCode::DatabaseUnavailable)
                })??;
                super::users::answers_again(subject, super::database_faults::RECOVERY)
            },
        )
        .needs(&[Side::Database, Side::DatabaseServer])
        .fault(),
    ]
}

fn is_ok(exchange: &Exchange) -> Result<(), Failure> {
    exchange.has_status(200)?;
    match exchange.answer.body == b"ok" {
        true => Ok(()),
        false => Err(exchange.failure("200 ok")),
    }
}

fn not_ready(subject: &Subject, cause: ErrorCode) -> Verdict {
    let exchange = subject.ask(subject.get(routes::READY))?;
    Ok(exchange.is_error_naming(ErrorCode::NotReady, cause.phrase())?)
}
