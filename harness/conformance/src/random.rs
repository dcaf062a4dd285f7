//! Random inputs that no contender can know in advance, with ordinary values.

use std::borrow::Cow;

use schema::{Claims, NewMovie, Product, Profile, Vendor, fixtures};
use uuid::Uuid;

/// Pieces of text in many scripts, with characters that JSON and HTML escape, and beyond the basic plane.
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

/// Tags that all contenders of the public harness know; some of them decode no others.
const TAGS: [&str; 3] = ["electronics", "peripherals", "keyboard"];

/// Creates a text of a few words that no other run has.
pub(crate) fn text() -> String {
    let mut text = String::new();
    push_text(&mut text, fastrand::u64(..));
    text
}

/// Appends the text of these random bits: one to three words, and 32 of the bits.
pub fn push_text(text: &mut String, bits: u64) {
    let mut rest = bits as u32 as usize;
    for _ in 0..=rest % 3 {
        rest /= PIECES.len();
        text.push_str(PIECES[rest % PIECES.len()]);
        text.push(' ');
    }
    for shift in (32..64).step_by(4).rev() {
        let digit = char::from_digit((bits >> shift) as u32 & 0xf, 16);
        text.extend(digit);
    }
}

/// Creates the id of a user that no other run has.
fn user_id() -> String {
    format!("user-{}", Uuid::new_v4().simple())
}

/// Creates a row for the table of users.
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

/// Creates the claims of a user without a row; they have no `exp`, as k6's have none.
pub(crate) fn claims() -> Claims {
    Claims {
        sub: user_id(),
        name: text(),
        ..fixtures::claims()
    }
}

/// Returns the claims of a row's user.
pub fn claims_of(profile: &Profile) -> Claims {
    Claims {
        sub: profile.id.clone(),
        name: profile.name.clone(),
        ..fixtures::claims()
    }
}

/// Creates a rating or a price with up to two decimals.
fn decimal() -> f64 {
    let hundredths = [100, 50, 10, 1][fastrand::usize(..4)];
    f64::from(fastrand::u16(1..100) * hundredths) / 100.0
}

/// Creates a movie.
pub fn movie() -> NewMovie<'static> {
    NewMovie {
        title: Cow::Owned(text()),
        year: fastrand::i32(1900..2030),
        director: Cow::Owned(text()),
        genre: Cow::Owned(text()),
        rating: decimal(),
    }
}

/// Creates a product with k6's id, so that it cannot be told from the measured one.
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

/// Encodes k6's movie.
pub(crate) fn k6_movie() -> String {
    javascript(&fixtures::new_movie())
}

/// Encodes JSON as JavaScript does: an integer has no fraction.
pub fn javascript(value: &impl serde::Serialize) -> String {
    let text = serde_json::to_string(value).expect("wire types are plain JSON");
    // Only numbers match: every text ends with a quote.
    text.replace(".0,", ",").replace(".0}", "}")
}
