//! The fixed values of the contract: the answers of `GET /info` and the upstream, the seed row, and the
//! token and movie of the public harness.

use std::borrow::Cow;

use crate::{Claims, Info, Nested, NewMovie, Profile};

/// The upstream's product: compact JSON in field order, byte for byte what `GET /data` answers.
pub const PRODUCT_JSON: &str = include_str!("../product.json").trim_ascii_end();

/// Returns the value of `GET /info`.
#[must_use]
#[expect(clippy::approx_constant, reason = "the contract's ratio is not pi")]
pub fn info() -> Info<'static> {
    Info {
        id: Cow::Borrowed("info-1"),
        name: Cow::Borrowed("Benchmark Info"),
        count: 42,
        ratio: 3.14159,
        active: true,
        tags: ["alpha", "beta", "gamma"].map(Cow::Borrowed),
        created_at: Cow::Borrowed("2026-01-01T00:00:00Z"),
        nested: Nested {
            level: 2,
            label: Cow::Borrowed("nested"),
        },
    }
}

/// Returns the seed row of `sql/users.sql`.
#[must_use]
pub fn profile() -> Profile {
    Profile {
        id: "user-123".to_owned(),
        name: "Ada Lovelace".to_owned(),
        email: "ada@example.com".to_owned(),
        address: "12 Mayfair Place".to_owned(),
        city: "London".to_owned(),
        country: "United Kingdom".to_owned(),
    }
}

/// Returns the claims of the public harness's token, which has no `exp`.
#[must_use]
pub fn claims() -> Claims {
    let Profile { id, name, .. } = profile();
    Claims {
        sub: id,
        name,
        iat: Some(1_735_689_600.into()),
        exp: None,
        nbf: None,
    }
}

/// Returns the movie that the public harness posts; JavaScript writes its rating as `8`.
#[must_use]
pub fn new_movie() -> NewMovie<'static> {
    NewMovie {
        title: Cow::Borrowed("Blade Runner 2049"),
        year: 2017,
        director: Cow::Borrowed("Denis Villeneuve"),
        genre: Cow::Borrowed("Sci-Fi"),
        rating: 8.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Product, json};

    #[test]
    fn product_file_is_the_compact_encoding_of_a_product() {
        let product: Product<'_> = json::from_slice(PRODUCT_JSON.as_bytes()).unwrap();
        assert_eq!(serde_json::to_string(&product).unwrap(), PRODUCT_JSON);
    }

    #[test]
    fn info_is_encoded_in_the_order_of_the_contract() {
        assert_eq!(
            serde_json::to_string(&info()).unwrap(),
            r#"{"id":"info-1","name":"Benchmark Info","count":42,"ratio":3.14159,"active":true,"tags":["alpha","beta","gamma"],"createdAt":"2026-01-01T00:00:00Z","nested":{"level":2,"label":"nested"}}"#
        );
    }

    #[test]
    fn profile_is_the_seed_row_of_the_sql_file() {
        let Profile {
            id,
            name,
            email,
            address,
            city,
            country,
        } = profile();
        let row = format!("('{id}', '{name}', '{email}', '{address}', '{city}', '{country}')");
        assert!(crate::sql::USERS.contains(&row));
    }
}
