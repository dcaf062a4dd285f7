//! Mutants of `GET /catalog` and `GET /ready` while the upstream fails.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, Response};
use schema::{ErrorCode, fixtures};

use crate::catalog::{Call, Came, calling, product};
use crate::server::{Honest, Mutant, error, json};

/// What the mutant answers instead of the contract's, if anything.
type Instead = Option<Response<Body>>;

pub(crate) fn mutants() -> Vec<Mutant> {
    let right = Call::RIGHT;
    let mut mutants = statuses();
    mutants.extend(bodies());
    mutants.extend([
        calling(
            "reset-is-504",
            &["catalog/502-reset"],
            right,
            |came| match came {
                Came::Reset => Some(error(ErrorCode::UpstreamTimeout)),
                _ => None,
            },
        ),
        calling(
            "refused-is-503",
            &["catalog/502-refused"],
            right,
            |came| match came {
                Came::Refused => Some(error(ErrorCode::DatabaseUnavailable)),
                _ => None,
            },
        ),
        never_again_after_it_was_refused(),
        calling(
            "unreachable-is-502",
            &["catalog/504-connect"],
            right,
            |came| match came {
                Came::Unreachable => Some(error(ErrorCode::UpstreamUnavailable)),
                _ => None,
            },
        ),
        calling(
            "connects-for-3-s",
            &["catalog/504-connect"],
            Call {
                connect: Duration::from_secs(3),
                ..right
            },
            as_it_is,
        ),
        calling(
            "calls-for-7-s-and-a-half",
            // Until its deadline a contender cannot tell an answer that never comes from a late one.
            &[
                "catalog/504-hang",
                "catalog/504-delay",
                "catalog/504-trickle",
            ],
            Call {
                first_byte: Duration::from_millis(7500),
                whole: Duration::from_millis(7500),
                ..right
            },
            as_it_is,
        ),
        calling(
            "has-a-deadline-for-each-read",
            &["catalog/504-trickle"],
            Call {
                whole: Duration::from_secs(60),
                ..right
            },
            as_it_is,
        ),
        calling(
            "calls-for-less-than-a-second",
            &["catalog/200-slow"],
            Call {
                first_byte: Duration::from_millis(900),
                ..right
            },
            as_it_is,
        ),
        Mutant::new(
            "ready-without-the-upstream",
            &["ready/503-upstream"],
            async |honest: Honest, request: Request<Body>| {
                super::ready_without(ErrorCode::UpstreamUnavailable, &honest, request).await
            },
        ),
    ]);
    mutants.into_iter().map(Mutant::with_faults).collect()
}

fn statuses() -> Vec<Mutant> {
    let right = Call::RIGHT;
    vec![
        calling(
            "any-2xx-is-a-product",
            &["catalog/502-status"],
            right,
            |came| match came {
                Came::Status(answer) if answer.status == 201 => Some(product(&answer.body)),
                _ => None,
            },
        ),
        calling(
            "a-refusal-is-passed-on",
            &["catalog/502-refused-key"],
            right,
            |came| match came {
                Came::Status(answer) if answer.status == 401 => {
                    Some(json(401, answer.body.clone()))
                }
                _ => None,
            },
        ),
        calling(
            "redirects-are-followed",
            &["catalog/502-redirect"],
            Call {
                redirects: 3,
                ..right
            },
            as_it_is,
        ),
        calling(
            "a-redirect-is-passed-on",
            &["catalog/502-redirect"],
            right,
            |came| match came {
                Came::Status(answer) if answer.status == 302 => {
                    Some(json(302, answer.body.clone()))
                }
                _ => None,
            },
        ),
    ]
}

fn bodies() -> Vec<Mutant> {
    let right = Call::RIGHT;
    vec![
        calling(
            "truncated-is-500",
            &["catalog/502-truncate"],
            right,
            |came| match came {
                Came::Truncated => Some(error(ErrorCode::Internal)),
                _ => None,
            },
        ),
        calling(
            "malformed-is-500",
            &["catalog/502-malformed"],
            right,
            |came| match came {
                Came::Malformed => Some(error(ErrorCode::Internal)),
                _ => None,
            },
        ),
        calling(
            "missing-fields-have-defaults",
            &["catalog/502-wrong-shape"],
            right,
            |came| match came {
                Came::OtherShape(bytes) if bytes == b"{}" => {
                    Some(product(fixtures::PRODUCT_JSON.as_bytes()))
                }
                _ => None,
            },
        ),
        calling(
            "null-is-a-product",
            &["catalog/502-wrong-shape"],
            right,
            |came| match came {
                Came::OtherShape(bytes) if bytes == b"null" => Some(json(200, "null")),
                _ => None,
            },
        ),
        calling(
            "two-mebibytes-are-read",
            &["catalog/502-huge"],
            right,
            |came| match came {
                Came::Huge(bytes) => Some(product(bytes)),
                _ => None,
            },
        ),
    ]
}

fn as_it_is(_: &Came) -> Instead {
    None
}

/// What asks after the refusal fails, whatever its check is.
fn never_again_after_it_was_refused() -> Mutant {
    let is_broken = AtomicBool::new(false);
    let trips = &["catalog/502-refused", "catalog/*"];
    calling(
        "never-again-after-it-was-refused",
        trips,
        Call::RIGHT,
        move |came| {
            let is_refused = matches!(came, Came::Refused);
            let is_broken = is_broken.fetch_or(is_refused, Ordering::Relaxed) || is_refused;
            is_broken.then(|| error(ErrorCode::UpstreamUnavailable))
        },
    )
}
