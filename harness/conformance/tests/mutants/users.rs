//! Mutants of `GET /users/me`.

use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use schema::routes::USERS_ME;
use schema::{Claims, ErrorCode, Profile};

use crate::credentials::Credentials;
use crate::mutant::{Mutant, by_error, set_header, set_status, status, success, text};
use crate::wire::repeat_first;

pub(crate) fn mutants() -> Vec<Mutant> {
    vec![
        Mutant::first_fails("users-me-fails-the-first-time", "users-me/200", USERS_ME),
        Mutant::change(
            "users-me-is-202",
            "users-me/200 users-me/* http/any-client",
            success(USERS_ME),
            set_status(202),
        ),
        Mutant::change(
            "users-me-has-no-city",
            "users-me/200 users-me/* http/any-client",
            success(USERS_ME),
            text(|text| {
                let (before, rest) = text.split_once(",\"city\":").unwrap();
                let (_, country) = rest.rsplit_once(",\"country\":").unwrap();
                format!("{before},\"country\":{country}")
            }),
        ),
        Mutant::honest(
            "users-me-keeps-the-row-of-a-connection",
            "users-me/row users-me/changed-row",
        )
        .on_the_wire(|response| repeat_first(response, "\"city\":")),
        Mutant::change(
            "users-me-takes-the-name-from-the-token",
            "users-me/changed-row users-me/accepts-*",
            success(USERS_ME),
            |sent, response| {
                let mut profile: Profile = serde_json::from_slice(response.body()).unwrap();
                profile.name = claims(sent).unwrap().name;
                *response.body_mut() = serde_json::to_vec(&profile).unwrap().into();
            },
        ),
        Mutant::twice("users-me-reads-twice", "users-me/one-query", USERS_ME),
        Mutant::mixes_up("users-me-mixes-up-responses", "users-me/at-once", USERS_ME),
        // More connections than the shared Postgres can spare.
        Mutant::honest("users-me-has-68-connections", "users-me/64-connections")
            .with_variables(&[("DB_POOL_SIZE", "68")])
            .with_own_postgres(),
        Mutant::change(
            "users-me-in-another-order",
            "users-me/field-order",
            success(USERS_ME),
            text(|text| {
                let (others, country) = text.rsplit_once(",\"country\":").unwrap();
                let country = country.strip_suffix('}').unwrap();
                format!("{{\"country\":{country},{}}}", &others[1..])
            }),
        ),
        Mutant::change(
            "users-me-as-text",
            "users-me/content-type users-me/head",
            success(USERS_ME),
            set_header(CONTENT_TYPE, "text/plain"),
        ),
        Mutant::change(
            "unknown-user-is-401",
            "users-me/404-no-such-user",
            |sent, code| status(USERS_ME, ErrorCode::UserNotFound)(sent, code) && !has_nul(sent),
            by_error(ErrorCode::InvalidToken),
        ),
        Mutant::change(
            "user-with-nul-is-503",
            "users-me/404-nul",
            |sent, code| status(USERS_ME, ErrorCode::UserNotFound)(sent, code) && has_nul(sent),
            by_error(ErrorCode::DatabaseUnavailable),
        ),
    ]
}

fn claims(sent: &Parts) -> Option<Claims> {
    Credentials::read(&sent.headers).any_claims()
}

fn has_nul(sent: &Parts) -> bool {
    claims(sent).is_some_and(|claims| claims.sub.contains('\0'))
}
