//! All checks, by the part of the contract that they belong to.

mod auth;
mod bodies;
mod catalog;
mod core;
mod database_faults;
mod http;
mod info;
mod movies;
mod probes;
mod upstream_faults;
mod users;

use std::time::Duration;

use serde_json::Value;
use uuid::Uuid;

use crate::client::Exchange;
use crate::verdict::{Failure, Verdict, ensure};
use crate::{Check, Dependency, Level, Subject};

const ENDPOINTS: &str = "docs/CONTRACT.md#endpoints-of-the-target";
const ERRORS: &str = "docs/CONTRACT.md#errors-of-the-target";
const AUTHENTICATION: &str = "docs/CONTRACT.md#authentication";

/// Time that a response may take beyond the contract's deadline.
const LATE: Duration = Duration::from_millis(1500);

/// Returns all checks, in the order of the contract.
pub(super) fn all() -> Vec<Check> {
    [
        core::checks(),
        info::checks(),
        movies::checks(),
        bodies::checks(),
        catalog::checks(),
        users::checks(),
        auth::checks(),
        http::checks(),
        probes::checks(),
        upstream_faults::checks(),
        database_faults::checks(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The properties that the checks of a group share.
#[derive(Clone, Copy)]
struct Group {
    level: Level,
    source: &'static str,
    needs: &'static [Dependency],
    fault: bool,
    waits: bool,
}

impl Group {
    fn work(source: &'static str) -> Self {
        Self {
            level: Level::Work,
            source,
            needs: &[],
            fault: false,
            waits: false,
        }
    }

    fn strict(source: &'static str) -> Self {
        Self {
            level: Level::Strict,
            ..Self::work(source)
        }
    }

    fn source(self, source: &'static str) -> Self {
        Self { source, ..self }
    }

    fn needs(self, needs: &'static [Dependency]) -> Self {
        Self { needs, ..self }
    }

    /// Sets that the checks cause faults.
    fn faults(self) -> Self {
        let fault = true;
        Self { fault, ..self }
    }

    /// Sets that the checks mostly wait.
    fn waits(self) -> Self {
        let waits = true;
        Self { waits, ..self }
    }

    /// Creates a check of the group.
    fn check(
        self,
        slug: impl Into<String>,
        description: impl Into<String>,
        run: impl Fn(&Subject) -> Verdict + Send + Sync + 'static,
    ) -> Check {
        Check {
            slug: slug.into(),
            level: self.level,
            description: description.into(),
            source: self.source,
            needs: self.needs,
            fault: self.fault,
            waits: self.waits,
            declarable: self.level == Level::Strict,
            run: Box::new(run),
        }
    }
}

/// Fails unless all these ids differ.
fn are_different(ids: &[Uuid], endpoint: &str) -> Verdict {
    let mut sorted = ids.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    ensure(
        sorted.len() == ids.len(),
        format!("{} different ids of {endpoint}", ids.len()),
        format!("{} different ones", sorted.len()),
    )
}

/// Fails unless all bits of these ids but version and variant are random.
///
/// A bit of random ids differs by more than the margin, eight standard deviations, once in 10^15 runs.
fn are_random(ids: &[Uuid], endpoint: &str) -> Verdict {
    let count = f64::from(u32::try_from(ids.len()).unwrap_or(u32::MAX));
    let margin = 8.0 * (count / 4.0).sqrt();
    let fixed: u128 = 0xf << 76 | 0b11 << 62;
    for bit in (0..128).filter(|bit| fixed >> *bit & 1 == 0) {
        let set = ids.iter().filter(|id| id.as_u128() >> bit & 1 == 1).count();
        let set_count = f64::from(u32::try_from(set).unwrap_or(u32::MAX));
        ensure(
            (set_count - count / 2.0).abs() <= margin,
            format!(
                "ids of {endpoint} whose bits are random, each set in about half of {} ids",
                ids.len()
            ),
            format!("bit {bit} is set in {set} of them: the ids can be predicted"),
        )?;
    }
    Ok(())
}

/// Fails unless the response came within the deadline, with some tolerance.
fn is_in_time(exchange: &Exchange, deadline: Duration) -> Verdict {
    let max = deadline + LATE;
    if exchange.took <= max {
        return Ok(());
    }
    let took = exchange.took.as_secs_f32();
    let expected = format!("a response within {:.1} s", max.as_secs_f32());
    let actual = format!("{} after {took:.1} s", exchange.actual());
    Err(Failure::of(&exchange.request, expected, actual).into())
}

/// Converts a wire type to a JSON value.
fn value(wire: &impl serde::Serialize) -> Value {
    serde_json::to_value(wire).expect("wire types are plain JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counter(start: u128) -> Vec<Uuid> {
        let v4 = 4 << 76 | 0b10 << 62;
        let ids = (start..start + 2000).map(|count| Uuid::from_u128(count | v4));
        ids.collect()
    }

    #[test]
    fn random_ids_pass_and_counters_fail() {
        for _ in 0..20 {
            let ids: Vec<_> = (0..2000).map(|_| Uuid::new_v4()).collect();
            are_different(&ids, "a test").unwrap();
            are_random(&ids, "a test").unwrap();
        }
        for start in [0, 1 << 40, u128::MAX >> 66 << 64] {
            let ids = counter(start);
            are_different(&ids, "a test").unwrap();
            assert!(are_random(&ids, "a test").is_err());
        }
    }

    #[test]
    fn repeated_id_fails() {
        let mut ids: Vec<_> = (0..10).map(|_| Uuid::new_v4()).collect();
        ids.push(ids[3]);
        assert!(are_different(&ids, "a test").is_err());
    }

    #[test]
    fn checks_have_unique_slugs_and_known_sources() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/CONTRACT.md");
        let contract = std::fs::read_to_string(path).unwrap();
        let sections = contract.lines().filter_map(|line| line.strip_prefix("## "));
        let anchors: Vec<_> = sections
            .map(|section| section.to_lowercase().replace(' ', "-"))
            .collect();
        let mut slugs = std::collections::BTreeSet::new();
        for check in all() {
            for source in check.source.split("; ") {
                let is_known = match source.strip_prefix("docs/CONTRACT.md#") {
                    Some(anchor) => anchors.iter().any(|known| known == anchor),
                    None => source.starts_with("RFC "),
                };
                assert!(is_known, "{}: {source}", check.slug);
            }
            assert!(slugs.insert(check.slug.clone()), "{} twice", check.slug);
        }
    }
}
