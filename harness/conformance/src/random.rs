//! Inputs that cannot be known in advance: ordinary values, as honest services meet them.

use std::borrow::Cow;

use schema::{Claims, NewMovie, Product, Profile, Vendor, fixtures};
use uuid::Uuid;

/// Pieces of text: the scripts of the world, what JSON and HTML escape, what lies outside the
/// basic plane.
const PIECES: [&str; 20] = [
    "A",
    "Zelda",
    "été",
    "Ærø",
    "Дом",
    "東京",
    "서울",
    "مرحبا",
    "नमस्ते",
    "αβγ",
    "\"",
    "\\",
    "/",
    "<b>&'",
    "😀",
    "🎬",
    "—",
    "ñ",
    "x7",
    "ß",
];

/// Tags that the public harness's contenders know; some of them decode no others.
const TAGS: [&str; 3] = ["electronics", "peripherals", "keyboard"];

/// A text of a few words that no run before this one had.
pub fn text() -> String {
    let words = (0..fastrand::usize(1..4)).map(|_| PIECES[fastrand::usize(..PIECES.len())]);
    let words: Vec<_> = words.collect();
    format!("{} {:08x}", words.join(" "), fastrand::u32(..))
}

/// The id of a user that no run before this one had.
pub fn user_id() -> String {
    format!("user-{}", Uuid::new_v4().simple())
}

/// A whole row for the table of users.
pub fn profile() -> Profile {
    Profile {
        id: user_id(),
        name: text(),
        email: format!("{:08x}@example.com", fastrand::u32(..)),
        address: text(),
        city: text(),
        country: text(),
    }
}

/// The claims of a user of no row; as k6's, they carry no `exp`.
pub fn claims() -> Claims {
    Claims {
        sub: user_id(),
        name: text(),
        ..fixtures::claims()
    }
}

/// The claims of a row.
pub fn claims_of(profile: &Profile) -> Claims {
    Claims {
        sub: profile.id.clone(),
        name: profile.name.clone(),
        ..fixtures::claims()
    }
}

/// A rating or price of one or two decimals, or none.
fn decimal() -> f64 {
    let hundredths = [100, 50, 10, 1][fastrand::usize(..4)];
    f64::from(fastrand::u16(1..100) * hundredths) / 100.0
}

/// A movie as JSON of k6's form: compact, in the contract's order, and a number without a fraction
/// as JavaScript writes it.
pub fn movie() -> NewMovie<'static> {
    NewMovie {
        title: Cow::Owned(text()),
        year: fastrand::i32(1900..2030),
        director: Cow::Owned(text()),
        genre: Cow::Owned(text()),
        rating: decimal(),
    }
}

/// A product with k6's id, so that nothing tells it from the one that is measured.
pub fn product() -> Product<'static> {
    let mut tags = TAGS;
    fastrand::shuffle(&mut tags);
    Product {
        id: Cow::Borrowed("prod-1"),
        title: Cow::Owned(text()),
        price: decimal(),
        in_stock: fastrand::bool(),
        tags: tags[..fastrand::usize(1..=TAGS.len())]
            .iter()
            .map(|tag| Cow::Borrowed(*tag))
            .collect(),
        rating: decimal(),
        description: Cow::Owned(text()),
        vendor: Vendor {
            id: Cow::Owned(format!("vendor-{}", fastrand::u32(..))),
            name: Cow::Owned(text()),
        },
    }
}

/// The body of k6's movie.
pub fn k6_movie() -> String {
    javascript(&fixtures::new_movie())
}

/// JSON as JavaScript writes it: a whole number has no fraction.
pub fn javascript(value: &impl serde::Serialize) -> String {
    let text = serde_json::to_string(value).expect("wire types are plain JSON");
    // Only a number is followed by these: a quote ends every text.
    text.replace(".0,", ",").replace(".0}", "}")
}
