//! `GET /catalog` while the upstream fails: the status, the deadline, and the recovery.

use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use schema::fault::Fault;
use schema::limits::{UPSTREAM_CALL_TIMEOUT, UPSTREAM_CONNECT_TIMEOUT};
use schema::{ErrorCode, fixtures, routes};

use super::{ERRORS, Group, LATE, is_in_time, value};
use crate::client::Exchange;
use crate::upstream::{Behaviour, Ending, Guard, IDLE_TIMEOUT};
use crate::verdict::{Verdict, ensure};
use crate::{Check, Dependency, Subject, random};

/// Time for a call to reach the upstream: longer than the call of another check delays a contender that
/// handles one request at a time.
const CALL_TIMEOUT: Duration = Duration::from_secs(9);

/// An allowed delay of the upstream.
const SLOW: Duration = Duration::from_secs(1);

/// A delay beyond the deadline of the contract.
const TOO_SLOW: Duration = Duration::from_secs(7);

/// Time to recover after a fault, in which the contender finds its connections broken.
const RECOVERY: Duration = Duration::from_secs(2);

/// Upstream responses that make `/catalog` 502: a check's name, its description and the responses.
type Failing = (&'static str, &'static str, fn() -> Vec<Behaviour>);

const FAILING: [Failing; 7] = [
    (
        "502-status",
        "Another status of the upstream than 200 is 502, whatever its body.",
        || {
            let statuses = [201, 204, 400, 404, 429, 500, 503];
            statuses
                .map(|status| Behaviour::Fault(Fault::Status(status)))
                .into()
        },
    ),
    (
        "502-refused-key",
        "A key that the upstream refuses is 502, and nothing of the refusal is passed on.",
        || vec![Behaviour::Refusal],
    ),
    (
        "502-reset",
        "A connection that the upstream resets is 502.",
        || vec![Behaviour::Fault(Fault::Reset)],
    ),
    (
        "502-truncate",
        "A response that ends in the middle of its body is 502.",
        || vec![Behaviour::Fault(Fault::Truncate)],
    ),
    (
        "502-malformed",
        "A response that is not JSON is 502.",
        || vec![Behaviour::Fault(Fault::Malformed)],
    ),
    (
        "502-wrong-shape",
        "JSON that is not a product is 502: a missing field, another type, another value than an object.",
        || {
            let mut incomplete = value(&random::product());
            if let Some(vendor) = incomplete["vendor"].as_object_mut() {
                vendor.remove("name");
            }
            let texts = [
                incomplete.to_string(),
                "null".into(),
                "[]".into(),
                "{}".into(),
            ];
            let products = texts.map(|text| Behaviour::Product(text.into(), Duration::ZERO));
            [Behaviour::Fault(Fault::WrongShape)]
                .into_iter()
                .chain(products)
                .collect()
        },
    ),
    ("502-huge", "A response of more than 1 MiB is 502.", || {
        vec![Behaviour::Fault(Fault::Huge)]
    }),
];

/// Upstream faults that make `/catalog` 504: a check's name, its description and the fault.
const TIMING_OUT: [(&str, &str, Fault); 3] = [
    (
        "504-hang",
        "An upstream that never responds is 504 within 5 s.",
        Fault::Hang,
    ),
    (
        "504-delay",
        "An upstream that takes longer than 5 s is 504 within 5 s.",
        Fault::Delay(TOO_SLOW),
    ),
    (
        "504-trickle",
        "An upstream that sends its body byte by byte is 504 within 5 s: the deadline is for the whole call.",
        Fault::Trickle,
    ),
];

/// Endings of kept connections that a repetition hides: a check's name, its description and the ending.
const ENDINGS: [(&str, &str, Ending); 3] = [
    (
        "200-idle-close",
        "An upstream that closes connections after 20 ms without a call is not a fault.",
        Ending::Idle,
    ),
    (
        "200-reset-later",
        "An upstream that resets connections after each response is not a fault.",
        Ending::Reset,
    ),
    (
        "200-unanswered",
        "A call on a kept connection that the upstream closes without a response is repeated on another.",
        Ending::Unanswered,
    ),
];

/// Requests while connections end, at intervals around the upstream's idle timeout.
const ENDING_REQUESTS: u32 = 30;

pub(super) fn checks() -> Vec<Check> {
    let strict = Group::strict(ERRORS)
        .needs(&[Dependency::Upstream])
        .faults();
    let mut checks = Vec::new();
    for (name, description, behaviours) in FAILING {
        let run = move |subject: &Subject| {
            let mut behaviours = behaviours().into_iter();
            behaviours.try_for_each(|behaviour| fails(subject, behaviour))
        };
        checks.push(strict.check(format!("catalog/{name}"), description, run));
    }
    checks.extend([
        strict.check(
            "catalog/502-redirect",
            "A redirect of the upstream is 502 and not followed.",
            |subject| {
                let upstream = subject.upstream()?;
                upstream.behave(Behaviour::Fault(Fault::Redirect));
                let exchange = subject.send(subject.get(routes::CATALOG))?;
                exchange.is_error(ErrorCode::UpstreamUnavailable)?;
                let calls = upstream.calls().len();
                ensure(calls == 1, "one call", format!("{calls} calls"))?;
                recovers(subject, &upstream)
            },
        ),
        strict.check(
            "catalog/502-refused",
            "An upstream that refuses connections is 502, and the first request after its return is 200.",
            |subject| {
                let upstream = subject.upstream()?;
                let exchange = upstream.while_refusing(|| {
                    upstream.until_uncalled(|| subject.send(subject.get(routes::CATALOG)))
                })??;
                exchange.is_error(ErrorCode::UpstreamUnavailable)?;
                recovers(subject, &upstream)
            },
        ),
        strict.check(
            "catalog/504-connect",
            "An upstream that accepts no connection is 504 within a second.",
            |subject| {
                let upstream = subject.upstream()?;
                let exchange = upstream.while_unreachable(|| {
                    upstream.until_uncalled(|| subject.send(subject.get(routes::CATALOG)))
                })??;
                exchange.is_error(ErrorCode::UpstreamTimeout)?;
                is_in_time(&exchange, UPSTREAM_CONNECT_TIMEOUT)?;
                recovers(subject, &upstream)
            },
        ),
    ]);
    for (name, description, fault) in TIMING_OUT {
        let run = move |subject: &Subject| times_out(subject, fault);
        checks.push(strict.check(format!("catalog/{name}"), description, run));
    }
    let of_ending =
        strict.source("docs/CONTRACT.md#errors-of-the-target; RFC 9110, 9.2.2; RFC 9112, 9.3.1");
    for (name, description, ending) in ENDINGS {
        let run = move |subject: &Subject| hides(subject, ending);
        checks.push(of_ending.check(format!("catalog/{name}"), description, run));
    }
    checks.push(strict.check(
        "catalog/200-slow",
        "An upstream that takes a second is not a fault.",
        |subject| {
            let product = random::product();
            let behaviour = Behaviour::Product(random::javascript(&product).into(), SLOW);
            let exchange = send_while(subject, behaviour, UPSTREAM_CALL_TIMEOUT)?;
            exchange.is(200, &value(&product))
        },
    ));
    checks
}

/// Fails unless the upstream's failure is 502, and the next request is served.
fn fails(subject: &Subject, behaviour: Behaviour) -> Verdict {
    let upstream = subject.upstream()?;
    upstream.behave(behaviour);
    let exchange = subject.send(subject.get(routes::CATALOG))?;
    exchange.is_error(ErrorCode::UpstreamUnavailable)?;
    recovers(subject, &upstream)
}

/// Fails unless every request is 200 while the upstream ends connections.
fn hides(subject: &Subject, ending: Ending) -> Verdict {
    let upstream = subject.upstream()?;
    upstream.while_ending(ending, || {
        let mut connection = subject.client.connection();
        (0..ENDING_REQUESTS).try_for_each(|count| {
            let exchange = connection.send(subject.get(routes::CATALOG))?;
            exchange.has_status(200)?;
            let quarter = IDLE_TIMEOUT / 4;
            sleep(quarter * 3 + quarter * 2 * count / ENDING_REQUESTS);
            Verdict::Ok(())
        })
    })??;
    recovers(subject, &upstream)
}

fn times_out(subject: &Subject, fault: Fault) -> Verdict {
    let timeout = UPSTREAM_CALL_TIMEOUT + LATE;
    let exchange = send_while(subject, Behaviour::Fault(fault), timeout)?;
    exchange.is_error(ErrorCode::UpstreamTimeout)?;
    is_in_time(&exchange, UPSTREAM_CALL_TIMEOUT)?;
    recovers(subject, &subject.upstream()?)
}

/// Sends a request while the upstream behaves so. The upstream is unlocked once the call is there, so
/// that checks wait for their deadlines at the same time.
fn send_while(subject: &Subject, behaviour: Behaviour, timeout: Duration) -> Verdict<Exchange> {
    let upstream = subject.upstream()?;
    upstream.behave(behaviour);
    scope(|scope| {
        let request = subject.get(routes::CATALOG);
        let sent = scope.spawn(|| subject.client.send_within(request, timeout));
        let is_called = upstream.is_called(1, CALL_TIMEOUT);
        drop(upstream);
        let exchange = sent.join().expect("a thread that sends does not panic");
        ensure(is_called, "a call of the upstream", "none")?;
        exchange
    })
}

/// Fails unless a product is served again.
fn recovers(subject: &Subject, upstream: &Guard<'_>) -> Verdict {
    upstream.serve(fixtures::PRODUCT_JSON);
    let deadline = Instant::now() + RECOVERY;
    loop {
        let exchange = subject.send(subject.get(routes::CATALOG))?;
        match exchange.has_status(200) {
            Ok(_) => return Ok(()),
            Err(problem) if Instant::now() > deadline => return Err(problem),
            Err(_) => {}
        }
    }
}
