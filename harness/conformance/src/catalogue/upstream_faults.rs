//! `GET /catalog` while the upstream fails: the status, the deadline, and the recovery after it.

use std::time::Duration;

use schema::fault::Fault;
use schema::limits::{UPSTREAM_CALL_TIMEOUT, UPSTREAM_CONNECT_TIMEOUT};
use schema::{ErrorCode, fixtures, routes};

use super::super::client::Exchange;
use super::super::upstream::{Behaviour, Turn};
use super::super::verdict::{Failure, Verdict, ensure};
use super::super::{Check, Level, Side, Subject, random};
use super::value;

const SOURCE: &str = "docs/CONTRACT.md#errors-of-the-target";

/// What an answer may be late beyond the contract's deadline.
const LATE: Duration = Duration::from_millis(1500);

/// Time for a call to reach the upstream: longer than a contender is held up by another check's
/// call, if it does one thing at a time.
const CALL_TIMEOUT: Duration = Duration::from_secs(9);

/// A time that the upstream may take.
const SLOW: Duration = Duration::from_secs(1);

/// A time that it may not.
const TOO_SLOW: Duration = Duration::from_secs(7);

/// Time to serve again after a fault, over connections of its own that it finds broken.
const RECOVERY: Duration = Duration::from_secs(2);

pub(super) fn checks() -> Vec<Check> {
    let check = |name: &str, what: &str, run: fn(&Subject) -> Verdict| {
        Check::new(format!("catalog/{name}"), Level::Strict, what, SOURCE, run)
            .needs(&[Side::Upstream])
            .fault()
    };
    vec![
        check(
            "502-status",
            "Another status than 200 of the upstream is 502, whatever its body.",
            |subject| {
                for status in [201, 204, 400, 404, 429, 500, 503] {
                    fails(subject, Behaviour::Fault(Fault::Status(status)))?;
                }
                Ok(())
            },
        ),
        check(
            "502-refused-key",
            "A key that the upstream refuses is 502: nothing of a refusal is passed on as a product.",
            |subject| fails(subject, Behaviour::Refusal),
        ),
        check(
            "502-redirect",
            "A redirect of the upstream is 502: it is not followed.",
            |subject| {
                let turn = subject.upstream()?;
                turn.behave(Behaviour::Fault(Fault::Redirect));
                let exchange = subject.ask(subject.get(routes::CATALOG))?;
                exchange.is_error(ErrorCode::UpstreamUnavailable)?;
                let calls = turn.calls().len();
                ensure(
                    calls == 1,
                    "one call, the redirect not followed",
                    format!("{calls} calls"),
                )?;
                serves_again(subject, &turn)
            },
        ),
        check(
            "502-reset",
            "A connection that the upstream resets is 502.",
            |subject| fails(subject, Behaviour::Fault(Fault::Reset)),
        ),
        check(
            "502-truncate",
            "An answer that ends in the middle of its body is 502.",
            |subject| fails(subject, Behaviour::Fault(Fault::Truncate)),
        ),
        check(
            "502-malformed",
            "An answer that is no JSON is 502.",
            |subject| fails(subject, Behaviour::Fault(Fault::Malformed)),
        ),
        check(
            "502-wrong-shape",
            "JSON that is no product is 502: a missing field, another type, another value than an object.",
            |subject| {
                fails(subject, Behaviour::Fault(Fault::WrongShape))?;
                let mut without = value(&random::product());
                without["vendor"]
                    .as_object_mut()
                    .map(|vendor| vendor.remove("name"));
                for product in [
                    without.to_string(),
                    "null".to_owned(),
                    "[]".to_owned(),
                    "{}".to_owned(),
                ] {
                    fails(subject, Behaviour::Product(product.into(), Duration::ZERO))?;
                }
                Ok(())
            },
        ),
        check(
            "502-huge",
            "An answer of more than 1 MiB is 502.",
            |subject| fails(subject, Behaviour::Fault(Fault::Huge)),
        ),
        check(
            "502-refused",
            "An upstream that refuses connections is 502, and the first request after it is back is 200.",
            |subject| {
                let turn = subject.upstream()?;
                let exchange = turn.while_refusing(|| {
                    turn.uncalled(|| subject.ask(subject.get(routes::CATALOG)))
                })??;
                exchange.is_error(ErrorCode::UpstreamUnavailable)?;
                serves_again(subject, &turn)
            },
        ),
        check(
            "504-connect",
            "An upstream that takes no connection is 504 within a second.",
            |subject| {
                let turn = subject.upstream()?;
                let exchange = turn.while_unreachable(|| {
                    turn.uncalled(|| subject.ask(subject.get(routes::CATALOG)))
                })??;
                exchange.is_error(ErrorCode::UpstreamTimeout)?;
                in_time(&exchange, UPSTREAM_CONNECT_TIMEOUT)?;
                serves_again(subject, &turn)
            },
        ),
        check(
            "504-hang",
            "An upstream that never answers is 504 within 5 s.",
            |subject| times_out(subject, Behaviour::Fault(Fault::Hang)),
        ),
        check(
            "504-delay",
            "An upstream that takes longer than 5 s is 504 within 5 s.",
            |subject| times_out(subject, Behaviour::Fault(Fault::Delay(TOO_SLOW))),
        ),
        check(
            "504-trickle",
            "An upstream whose body comes a byte at a time is 504 within 5 s: the deadline is for the whole call.",
            |subject| times_out(subject, Behaviour::Fault(Fault::Trickle)),
        ),
        check(
            "200-slow",
            "An upstream that takes a second is no fault.",
            |subject| {
                let product = random::product();
                let behaviour = Behaviour::Product(random::javascript(&product).into(), SLOW);
                let exchange = while_behaving(subject, behaviour, UPSTREAM_CALL_TIMEOUT)?;
                Ok(exchange.is(200, &value(&product))?)
            },
        ),
    ]
}

/// Fails unless the upstream's failure is 502, and the next request is served.
fn fails(subject: &Subject, behaviour: Behaviour) -> Verdict {
    let turn = subject.upstream()?;
    turn.behave(behaviour);
    let exchange = subject.ask(subject.get(routes::CATALOG))?;
    exchange.is_error(ErrorCode::UpstreamUnavailable)?;
    serves_again(subject, &turn)
}

fn times_out(subject: &Subject, behaviour: Behaviour) -> Verdict {
    let exchange = while_behaving(subject, behaviour, UPSTREAM_CALL_TIMEOUT + LATE)?;
    exchange.is_error(ErrorCode::UpstreamTimeout)?;
    in_time(&exchange, UPSTREAM_CALL_TIMEOUT)?;
    serves_again(subject, &subject.upstream()?)
}

/// Asks while the upstream behaves so. The turn is over as soon as the call is there, so that one
/// check's wait is every check's.
fn while_behaving(
    subject: &Subject,
    behaviour: Behaviour,
    patience: Duration,
) -> Result<Exchange, super::super::verdict::Problem> {
    let turn = subject.upstream()?;
    turn.behave(behaviour);
    std::thread::scope(|scope| {
        let asked = scope.spawn(|| {
            subject
                .client
                .ask_within(subject.get(routes::CATALOG), patience)
        });
        let called = turn.is_called(1, CALL_TIMEOUT);
        drop(turn);
        let exchange = asked.join().expect("a thread that asks does not panic");
        ensure(called, "a call of the upstream", "none")?;
        Ok(exchange?)
    })
}

fn in_time(exchange: &Exchange, deadline: Duration) -> Result<(), Failure> {
    if exchange.took <= deadline + LATE {
        return Ok(());
    }
    let took = format!(
        "{} after {:.1} s",
        exchange.came(),
        exchange.took.as_secs_f32()
    );
    Err(Failure::of(
        &exchange.request,
        format!("an answer within {} s", deadline.as_secs()),
        took,
    ))
}

/// Fails unless a right product is answered again.
fn serves_again(subject: &Subject, turn: &Turn<'_>) -> Verdict {
    turn.serve(fixtures::PRODUCT_JSON);
    let deadline = std::time::Instant::now() + RECOVERY;
    loop {
        let exchange = subject.ask(subject.get(routes::CATALOG))?;
        match exchange.has_status(200) {
            Ok(_) => return Ok(()),
            Err(failure) if std::time::Instant::now() > deadline => return Err(failure.into()),
            Err(_) => {}
        }
    }
}
