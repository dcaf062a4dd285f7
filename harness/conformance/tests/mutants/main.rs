//! The checks are checked: for every check there is a mutant, an honest service with one switch
//! that breaks one thing, and the check trips on it. No mutant trips a check that it does not name.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod auth;
mod bodies;
mod catalog;
mod cheaters;
mod faults;
mod http;
mod info;
mod movies;
mod run;
mod server;
mod users;
mod wire;

use std::collections::BTreeSet;

use conformance::{Level, Options, Outcome};
use server::{Honest, Mutant};

/// Every mutant there is.
fn all() -> Vec<Mutant> {
    [
        info::mutants(),
        movies::mutants(),
        bodies::mutants(),
        catalog::mutants(),
        users::mutants(),
        auth::mutants(),
        http::mutants(),
        faults::mutants(),
        cheaters::mutants(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[test]
fn every_check_has_a_mutant_and_every_mutant_a_name() {
    let mutants = all();
    let tripped: BTreeSet<&str> = mutants
        .iter()
        .flat_map(|mutant| mutant.trips)
        .copied()
        .collect();
    let checks = conformance::all();
    let without: Vec<_> = checks
        .iter()
        .filter(|check| !tripped.contains(check.slug.as_str()))
        .map(|check| &check.slug)
        .collect();
    assert!(without.is_empty(), "checks without a mutant: {without:#?}");
    let mut names = BTreeSet::new();
    for mutant in &mutants {
        assert!(
            names.insert(mutant.name),
            "two mutants are named {}",
            mutant.name
        );
    }
}

#[test]
fn the_honest_service_passes_every_check() {
    let postgres = testbed::postgres::TemporaryPostgres::start().unwrap();
    let honest = Mutant::new("honest", &[], async |honest: Honest, request| {
        honest.answer(request).await
    });
    let report = run::report(
        &honest,
        run::Postgres::Own(Box::new(postgres)),
        &Options::all_of(Level::Strict),
    );
    let others: Vec<_> = report
        .checks
        .iter()
        .filter(|row| row.outcome != Outcome::Passed)
        .collect();
    assert!(others.is_empty(), "{others:#?}");
}

#[test]
fn info_mutants_are_caught() {
    run::caught(info::mutants());
}

#[test]
fn movies_mutants_are_caught() {
    run::caught(movies::mutants());
}

#[test]
fn body_mutants_are_caught() {
    run::caught(bodies::mutants());
}

#[test]
fn catalog_mutants_are_caught() {
    run::caught(catalog::mutants());
}

#[test]
fn users_mutants_are_caught() {
    run::caught(users::mutants());
}

#[test]
fn auth_mutants_are_caught() {
    run::caught(auth::mutants());
}

#[test]
fn http_mutants_are_caught() {
    run::caught(http::mutants());
}

#[test]
fn fault_mutants_are_caught() {
    run::caught(faults::mutants());
}

#[test]
fn cheaters_are_caught() {
    run::caught(cheaters::mutants());
}
