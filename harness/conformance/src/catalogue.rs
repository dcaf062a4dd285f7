//! Every check there is, by what it asks about.

mod auth;
mod catalog;
mod core;
mod database_faults;
mod http;
mod info;
mod movies;
mod movies_body;
mod ours;
mod upstream_faults;
mod users;

use serde_json::Value;
use uuid::Uuid;

use super::Check;
use super::client::Exchange;
use super::verdict::Failure;
use testbed::json::{field_order, parse_uuid_v4};

/// All checks, in the order of the contract.
pub(super) fn all() -> Vec<Check> {
    [
        core::checks(),
        info::checks(),
        movies::checks(),
        movies_body::checks(),
        catalog::checks(),
        users::checks(),
        auth::checks(),
        http::checks(),
        ours::checks(),
        upstream_faults::checks(),
        database_faults::checks(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Fails unless the text is a UUID v4 (RFC 9562, 5.4) in its canonical form.
fn uuid_v4(text: &str, exchange: &Exchange) -> Result<Uuid, Failure> {
    parse_uuid_v4(text)
        .ok_or_else(|| exchange.failure(format!("a UUID v4, but the id is {text:?}")))
}

/// Fails unless no two of these ids are the same.
fn fresh(ids: &[Uuid], whose: &str) -> Result<(), Failure> {
    let mut sorted = ids.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    super::verdict::ensure(
        sorted.len() == ids.len(),
        format!("{} different ids of {whose}", ids.len()),
        format!("{} different ones", sorted.len()),
    )
}

/// Fails unless the bits of these ids are as random as v4 says: all but version and variant.
///
/// Of so many random ids, a bit is set in fewer or more than these only once in 10^15 runs: eight
/// standard deviations.
fn random(ids: &[Uuid], whose: &str) -> Result<(), Failure> {
    let count = f64::from(u32::try_from(ids.len()).unwrap_or(u32::MAX));
    let margin = 8.0 * (count / 4.0).sqrt();
    let fixed: u128 = 0xf << 76 | 0b11 << 62;
    for bit in (0..128).filter(|bit| fixed >> *bit & 1 == 0) {
        let set = ids.iter().filter(|id| id.as_u128() >> bit & 1 == 1).count();
        let set_count = f64::from(u32::try_from(set).unwrap_or(u32::MAX));
        if (set_count - count / 2.0).abs() > margin {
            return Err(Failure::new(
                format!(
                    "ids of {whose} whose bits are random, each set in about half of {} ids",
                    ids.len()
                ),
                format!("bit {bit} is set in {set} of them: the ids can be predicted"),
            ));
        }
    }
    Ok(())
}

/// Fails unless the fields of the JSON object are these, in this order; those of an object in it
/// are `outer.inner`.
fn in_order(exchange: &Exchange, fields: &[&str]) -> Result<(), Failure> {
    let came = field_order(&exchange.answer.body).unwrap_or_default();
    if came == fields {
        return Ok(());
    }
    let expected = format!("the fields in this order: {}", fields.join(", "));
    Err(Failure::of(&exchange.request, expected, came.join(", ")))
}

/// A wire type as a JSON value.
fn value(of: &impl serde::Serialize) -> Value {
    serde_json::to_value(of).expect("wire types are plain JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counter(start: u128) -> Vec<Uuid> {
        let v4 = 4 << 76 | 0b10 << 62;
        (start..start + 2000)
            .map(|count| Uuid::from_u128(count | v4))
            .collect()
    }

    #[test]
    fn random_ids_are_taken_for_random_and_a_counter_is_not() {
        for _ in 0..20 {
            let ids: Vec<_> = (0..2000).map(|_| Uuid::new_v4()).collect();
            fresh(&ids, "a test").unwrap();
            random(&ids, "a test").unwrap();
        }
        for start in [0, 1 << 40, u128::MAX >> 66 << 64] {
            let ids = counter(start);
            fresh(&ids, "a test").unwrap();
            assert!(random(&ids, "a test").is_err());
        }
    }

    #[test]
    fn an_id_that_comes_twice_is_not_fresh() {
        let mut ids: Vec<_> = (0..10).map(|_| Uuid::new_v4()).collect();
        ids.push(ids[3]);
        let failure = fresh(&ids, "a test").unwrap_err();
        assert_eq!(failure.came, "10 different ones");
    }
}
