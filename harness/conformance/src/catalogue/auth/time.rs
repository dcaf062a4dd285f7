//! One token before and after its `exp` and its `nbf`: the result of a verification is not remembered.
//!
//! A contender may have a leeway at level `work`, and a clock of its own. The token is therefore compared
//! with others that were never sent and have the same limit: once these are treated otherwise, so must it.

use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use schema::fixtures;
use serde_json::json;

use super::Endpoint;
use super::signer::{HS256, Signer, now};
use crate::catalogue::Group;
use crate::client::{Connection, Exchange};
use crate::verdict::{Failure, Verdict};
use crate::{Check, Subject, random};

/// Longest leeway of a contender, in seconds. With a longer one the claim counts as not enforced, which
/// other checks report.
const LEEWAY_MAX: i64 = 3600;

/// Least time from the first request to the token's limit.
const LEAD: Duration = Duration::from_millis(300);

/// Time before the limit at which the comparison starts.
const BEFORE: Duration = Duration::from_millis(30);

/// Time between two comparisons.
const INTERVAL: Duration = Duration::from_millis(15);

/// Time after the limit for a contender to notice it.
const NOTICE_TIMEOUT: Duration = Duration::from_secs(3);

/// Attempts to send a token before its limit, which a busy machine may delay.
const ATTEMPTS: usize = 5;

/// A claim that limits the time of a token.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Claim {
    Exp,
    Nbf,
}

impl Claim {
    /// Returns the value that changes the treatment of a token at a time, with a contender of this leeway.
    fn value(self, time: i64, leeway: i64) -> i64 {
        match self {
            Self::Exp => time - leeway,
            Self::Nbf => time + leeway,
        }
    }
}

pub(super) fn checks(endpoint: Endpoint) -> [Check; 2] {
    let [name, line] = [endpoint.name(), endpoint.line()];
    let check = |slug, source, description, claim| {
        Group::work(source)
            .waits()
            .check(format!("{name}/{slug}"), description, move |subject| {
                let connection = subject.client.connection();
                Requests {
                    endpoint,
                    subject,
                    connection,
                    claim,
                }
                .changes()
            })
    };
    [
        check(
            "refuses-kept-expired",
            "docs/CONTRACT.md#authentication; RFC 7519, 4.1.4",
            format!(
                "{line} refuses a token that it accepted before, once the token expires: no response, token or claim is kept."
            ),
            Claim::Exp,
        ),
        check(
            "accepts-kept-refused",
            "docs/CONTRACT.md#authentication; RFC 7519, 4.1.5",
            format!(
                "{line} accepts a token that it refused before, once its `nbf` is reached, if it enforces `nbf`."
            ),
            Claim::Nbf,
        ),
    ]
}

/// Requests with tokens that have a claim.
struct Requests<'a> {
    endpoint: Endpoint,
    subject: &'a Subject,
    connection: Connection<'a>,
    claim: Claim,
}

impl Requests<'_> {
    fn changes(&mut self) -> Verdict {
        for _ in 0..ATTEMPTS {
            let Some(leeway) = self.leeway()? else {
                return Ok(());
            };
            // The start of the second after the lead.
            let limit = now_exactly() + LEAD + Duration::from_secs(1);
            let limit = limit.as_secs().cast_signed();
            let value = self.claim.value(limit, leeway);
            let token = self.token(value);
            let first = self.send(&token)?;
            if is_accepted(&first) == (self.claim == Claim::Exp) {
                return self.is_treated_as_others(&token, value, limit);
            }
        }
        let expected = "a token with the same treatment as others before its limit";
        Err(Failure::new(expected, "another treatment").into())
    }

    fn is_treated_as_others(&mut self, token: &str, value: i64, limit: i64) -> Verdict {
        let limit = Duration::from_secs(limit.cast_unsigned());
        sleep(limit.saturating_sub(BEFORE + now_exactly()));
        // Held until the end: a wait for other checks between two comparisons could outlast a memory.
        let _guard = self.endpoint.guard(self.subject);
        let deadline = Instant::now() + NOTICE_TIMEOUT;
        let is_accepted_at_last = self.claim == Claim::Nbf;
        while Instant::now() < deadline {
            let other = self.token(value);
            let other = self.send_unguarded(&other)?;
            let exchange = self.send_unguarded(token)?;
            if is_accepted(&other) != is_accepted_at_last {
                sleep(INTERVAL);
                continue;
            }
            return match (is_accepted(&exchange), is_accepted_at_last) {
                (true, false) => exchange.fail("a refusal, as of other tokens that have expired"),
                (false, true) => exchange.fail("a success, as of other tokens with this `nbf`"),
                _ => Ok(()),
            };
        }
        let expected = format!("another treatment of tokens after their {:?}", self.claim);
        Err(Failure::new(expected, "the same").into())
    }

    /// Finds the leeway in seconds, by tokens that were never sent; none if the claim is not enforced.
    /// It is 1 for `exp` where a token is valid in the very second of its `exp`.
    fn leeway(&mut self) -> Verdict<Option<i64>> {
        let (mut low, mut high) = (0, 0);
        while !self.enforces(high)? {
            (low, high) = (high + 1, 2 * high + 1);
            if high > LEEWAY_MAX {
                return Ok(None);
            }
        }
        while low < high {
            let middle = low.midpoint(high);
            match self.enforces(middle)? {
                true => high = middle,
                false => low = middle + 1,
            }
        }
        Ok(Some(high))
    }

    /// Returns true if a token is refused that is refused with at most this leeway.
    fn enforces(&mut self, leeway: i64) -> Verdict<bool> {
        let time = now() + i64::from(self.claim == Claim::Nbf);
        let token = self.token(self.claim.value(time, leeway));
        Ok(!is_accepted(&self.send(&token)?))
    }

    /// Creates a token of k6's user that no other equals.
    fn token(&self, value: i64) -> String {
        let name = match self.claim {
            Claim::Exp => "exp",
            Claim::Nbf => "nbf",
        };
        let k6 = fixtures::claims();
        let claims = json!({"sub": k6.sub, "name": random::text(), "iat": k6.iat, name: value});
        Signer::of(self.subject).forge(HS256, &claims.to_string())
    }

    fn send(&mut self, token: &str) -> Verdict<Exchange> {
        let _guard = self.endpoint.guard(self.subject);
        self.send_unguarded(token)
    }

    fn send_unguarded(&mut self, token: &str) -> Verdict<Exchange> {
        let header = format!("Bearer {token}");
        let request = self.endpoint.request(self.subject, &[header]);
        self.connection.send(request)
    }
}

fn is_accepted(exchange: &Exchange) -> bool {
    exchange.answer.status < 400
}

/// Returns the time since the epoch.
fn now_exactly() -> Duration {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap_or_default()
}
