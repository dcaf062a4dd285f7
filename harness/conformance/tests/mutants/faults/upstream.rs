//! Mutants of `GET /catalog` and `GET /ready` while the upstream fails.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use schema::ErrorCode::{DatabaseUnavailable, Internal, UpstreamTimeout, UpstreamUnavailable};
use schema::fixtures;

use super::is_ready_without;
use crate::call::{Call, Kind, on, product, with_call, with_response};
use crate::mutant::{Mutant, error, json};

pub(crate) fn mutants() -> Vec<Mutant> {
    let right = Call::RIGHT;
    let is_broken = AtomicBool::new(false);
    let mutants = [
        with_response(
            "any-2xx-is-a-product",
            "catalog/502-status",
            on(Kind::Status(201), product),
        ),
        with_response(
            "refusal-is-passed-on",
            "catalog/502-refused-key",
            on(Kind::Status(401), |body| json(401, body.to_vec())),
        ),
        with_call(
            "redirects-are-followed",
            "catalog/502-redirect",
            Call {
                redirects: 3,
                ..right
            },
        ),
        with_response(
            "truncated-is-500",
            "catalog/502-truncate",
            on(Kind::Truncated, |_| error(Internal)),
        ),
        with_response(
            "malformed-is-500",
            "catalog/502-malformed",
            on(Kind::Malformed, |_| error(Internal)),
        ),
        with_response(
            "missing-fields-have-defaults",
            "catalog/502-wrong-shape",
            |called| (called.body == b"{}").then(|| product(fixtures::PRODUCT_JSON.as_bytes())),
        ),
        with_response(
            "two-mebibytes-are-read",
            "catalog/502-huge",
            on(Kind::Huge, product),
        ),
        with_response(
            "reset-is-504",
            "catalog/502-reset",
            on(Kind::Reset, |_| error(UpstreamTimeout)),
        ),
        with_response(
            "refused-is-503",
            "catalog/502-refused",
            on(Kind::Refused, |_| error(DatabaseUnavailable)),
        ),
        // Every later call fails too, in whatever check.
        with_response(
            "refused-once-is-refused-forever",
            "catalog/502-refused catalog/*",
            move |called| {
                let is_refused = called.kind == Kind::Refused;
                let is_broken = is_broken.fetch_or(is_refused, Ordering::Relaxed) || is_refused;
                is_broken.then(|| error(UpstreamUnavailable))
            },
        ),
        with_response(
            "unreachable-is-502",
            "catalog/504-connect",
            on(Kind::Unreachable, |_| error(UpstreamUnavailable)),
        ),
        with_call(
            "connects-for-3-s",
            "catalog/504-connect",
            Call {
                connect_timeout: Duration::from_secs(3),
                ..right
            },
        ),
        with_call(
            "calls-for-7.5-s",
            // Before its deadline a contender cannot tell a missing response from a late one.
            "catalog/504-hang catalog/504-delay catalog/504-trickle",
            Call {
                first_byte_timeout: Duration::from_millis(7500),
                timeout: Duration::from_millis(7500),
                ..right
            },
        ),
        with_call(
            "has-a-deadline-for-each-read",
            "catalog/504-trickle",
            Call {
                timeout: Duration::from_secs(60),
                ..right
            },
        ),
        with_call(
            "repeats-no-call",
            "catalog/200-idle-close catalog/200-reset-later catalog/200-unanswered catalog/504-connect",
            Call {
                keeps: true,
                ..right
            },
        ),
        with_call(
            "calls-for-less-than-a-second",
            "catalog/200-slow",
            Call {
                first_byte_timeout: Duration::from_millis(900),
                ..right
            },
        ),
        is_ready_without(
            "ready-without-the-upstream",
            "ready/503-upstream",
            UpstreamUnavailable,
        ),
    ];
    mutants.map(Mutant::with_faults).into()
}
