//! The wire types of the endpoints. Names are camelCase on the wire, fields are in the contract's order,
//! strings borrow from the text they were decoded from. The comments become the descriptions of the
//! OpenAPI document.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::json::{self, Fields};

/// Answer of `GET /info`.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Info<'a> {
    /// Always `info-1`.
    #[serde(borrow)]
    pub id: Cow<'a, str>,
    /// Display name.
    #[serde(borrow)]
    pub name: Cow<'a, str>,
    /// A 32-bit integer.
    pub count: i32,
    /// A double.
    pub ratio: f64,
    /// A flag.
    pub active: bool,
    /// Three tags, order matters.
    #[serde(borrow)]
    #[cfg_attr(feature = "openapi", schema(min_items = 3, max_items = 3))]
    pub tags: [Cow<'a, str>; 3],
    /// RFC 3339, UTC.
    #[serde(borrow)]
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    pub created_at: Cow<'a, str>,
    /// A nested object.
    #[serde(borrow)]
    pub nested: Nested<'a>,
}

/// The object inside `Info`.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Nested<'a> {
    /// Depth of the object.
    pub level: i32,
    /// Display label.
    #[serde(borrow)]
    pub label: Cow<'a, str>,
}

// Not part of the OpenAPI document: decoded texts are owned.
/// Body of `POST /movies`. Unknown fields are ignored.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct NewMovie<'a> {
    /// Title of the movie.
    pub title: Cow<'a, str>,
    /// Year of release, a 32-bit integer.
    #[cfg_attr(
        feature = "openapi",
        schema(minimum = -2147483648, maximum = 2147483647)
    )]
    #[serde(deserialize_with = "json::integer")]
    pub year: i32,
    /// Name of the director.
    pub director: Cow<'a, str>,
    /// Genre.
    pub genre: Cow<'a, str>,
    /// Rating; an integer is a valid rating.
    pub rating: f64,
}

impl Fields for NewMovie<'_> {
    const FIELDS: &'static [(&'static str, &'static str)] = &[
        ("title", "a string"),
        ("year", "a 32-bit integer"),
        ("director", "a string"),
        ("genre", "a string"),
        ("rating", "a number"),
    ];
}

/// Answer of `POST /movies`: the new movie, its fresh id and its creator.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Movie<'a> {
    /// The five fields of the request.
    #[serde(flatten)]
    pub new: NewMovie<'a>,
    /// Fresh UUID v4.
    pub id: Uuid,
    /// The token's user.
    #[serde(borrow)]
    pub user: UserRef<'a>,
}

/// The user a token stands for.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct UserRef<'a> {
    /// The token's `sub`.
    #[serde(borrow)]
    pub id: Cow<'a, str>,
    /// The token's `name`.
    #[serde(borrow)]
    pub name: Cow<'a, str>,
}

/// Answer of the upstream's `GET /data` and of `GET /catalog`.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Product<'a> {
    /// Product id.
    #[serde(borrow)]
    pub id: Cow<'a, str>,
    /// Title.
    #[serde(borrow)]
    pub title: Cow<'a, str>,
    /// Price.
    pub price: f64,
    /// True if it can be ordered.
    pub in_stock: bool,
    /// Tags, order matters.
    #[serde(borrow, deserialize_with = "json::texts")]
    pub tags: Vec<Cow<'a, str>>,
    /// Mean rating.
    pub rating: f64,
    /// Description.
    #[serde(borrow)]
    pub description: Cow<'a, str>,
    /// Seller.
    #[serde(borrow, deserialize_with = "json::object")]
    pub vendor: Vendor<'a>,
}

impl Fields for Product<'_> {
    const FIELDS: &'static [(&'static str, &'static str)] = &[
        ("id", "a string"),
        ("title", "a string"),
        ("price", "a number"),
        ("inStock", "true or false"),
        ("tags", "an array of strings"),
        ("rating", "a number"),
        ("description", "a string"),
        ("vendor", "an object with id and name"),
    ];
}

/// The object inside `Product`.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Vendor<'a> {
    /// Vendor id.
    #[serde(borrow)]
    pub id: Cow<'a, str>,
    /// Display name.
    #[serde(borrow)]
    pub name: Cow<'a, str>,
}

/// Answer of `GET /users/me`: the user's row.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Profile {
    /// The token's `sub`.
    pub id: String,
    /// Display name.
    pub name: String,
    /// Mail address.
    pub email: String,
    /// Street and number.
    pub address: String,
    /// City.
    pub city: String,
    /// Country.
    pub country: String,
}

// Not derived: the derive makes cargo build all of sqlx a second time, for the macro.
#[cfg(feature = "sqlx")]
impl sqlx::FromRow<'_, sqlx::postgres::PgRow> for Profile {
    fn from_row(row: &sqlx::postgres::PgRow) -> sqlx::Result<Self> {
        use sqlx::Row;
        Ok(Self {
            id: row.try_get("id")?,
            name: row.try_get("name")?,
            email: row.try_get("email")?,
            address: row.try_get("address")?,
            city: row.try_get("city")?,
            country: row.try_get("country")?,
        })
    }
}
