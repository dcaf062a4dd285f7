//! `GET /health` and `GET /ready` of the suite's own services, for a supervisor that starts them.

use schema::fault::Fault;
use schema::{ErrorCode, fixtures, routes};

use super::{ENDPOINTS, Group, database_faults, users};
use crate::upstream::Behaviour;
use crate::verdict::Verdict;
use crate::{Check, Dependency, Subject};

pub(super) fn checks() -> Vec<Check> {
    let strict = Group::strict(ENDPOINTS);
    let fault = strict.faults();
    vec![
        strict.check(
            "health/200",
            "`GET /health` is 200 `ok` while the process serves.",
            |subject| is_ok(subject, routes::HEALTH),
        ),
        strict.check(
            "ready/200",
            "`GET /ready` is 200 `ok` while Postgres and the upstream answer.",
            |subject| {
                let _upstream = subject.upstream_if_any();
                let _database = subject.database_if_any();
                is_ok(subject, routes::READY)
            },
        ),
        fault.needs(&[Dependency::Upstream]).check(
            "ready/503-upstream",
            "`GET /ready` is 503 while the upstream fails, and the detail names it.",
            |subject| {
                let upstream = subject.upstream()?;
                let _database = subject.database_if_any();
                upstream.behave(Behaviour::Fault(Fault::Status(500)));
                is_not_ready(subject, ErrorCode::UpstreamUnavailable)?;
                upstream.serve(fixtures::PRODUCT_JSON);
                is_ok(subject, routes::READY)
            },
        ),
        fault.needs(&[Dependency::Database, Dependency::DatabaseServer]).check(
            "ready/503-database",
            "`GET /ready` is 503 while Postgres is stopped, and the detail names it; `GET /health` stays 200.",
            |subject| {
                // The detail would name the upstream too while another check makes it fail.
                let _upstream = subject.upstream_if_any();
                let database = subject.database()?;
                database.while_stopped(|| {
                    is_ok(subject, routes::HEALTH)?;
                    is_not_ready(subject, ErrorCode::DatabaseUnavailable)
                })??;
                users::recovers(subject, database_faults::RECOVERY)
            },
        ),
    ]
}

fn is_ok(subject: &Subject, path: &str) -> Verdict {
    let exchange = subject.send(subject.get(path))?;
    match exchange.has_status(200)?.answer.body == b"ok" {
        true => Ok(()),
        false => exchange.fail("200 ok"),
    }
}

fn is_not_ready(subject: &Subject, cause: ErrorCode) -> Verdict {
    let exchange = subject.send(subject.get(routes::READY))?;
    exchange.is_error_naming(ErrorCode::NotReady, cause.phrase())
}
