//! The checks are checked: for every check there is a mutant, the real target with a switch that
//! breaks one thing, and the check fails on it. No mutant fails a check that it does not name.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod auth;
mod bodies;
mod call;
mod catalog;
mod cheaters;
mod credentials;
mod faults;
mod http;
mod info;
mod k6;
mod movies;
mod mutant;
mod post;
mod run;
mod users;
mod wire;

use std::collections::BTreeSet;

use conformance::{Level, Options, Outcome};
use mutant::Mutant;
use testbed::postgres::TemporaryPostgres;

fn all() -> Vec<Mutant> {
    let groups: [fn() -> Vec<Mutant>; 9] = [
        info::mutants,
        movies::mutants,
        bodies::mutants,
        catalog::mutants,
        users::mutants,
        auth::mutants,
        http::mutants,
        faults::mutants,
        cheaters::mutants,
    ];
    groups.iter().flat_map(|mutants| mutants()).collect()
}

#[test]
fn every_check_has_a_mutant_and_names_of_mutants_are_unique() {
    let mutants = all();
    let trips = mutants.iter().flat_map(|mutant| mutant.trips.split(' '));
    let trips: BTreeSet<_> = trips.collect();
    let checks = conformance::all().into_iter().map(|check| check.slug);
    let without: Vec<_> = checks
        .filter(|slug| !trips.contains(slug.as_str()))
        .collect();
    assert!(without.is_empty(), "checks without a mutant: {without:#?}");
    let mut names = BTreeSet::new();
    for mutant in &mutants {
        assert!(names.insert(&mutant.name), "{} exists twice", mutant.name);
    }
}

#[test]
fn real_target_passes_every_check() {
    let postgres = run::Postgres::Own(Box::new(TemporaryPostgres::start().unwrap()));
    let honest = Mutant::honest("honest", "");
    let report = run::report(&honest, postgres, &Options::all_of(Level::Strict));
    let rows = report.checks.iter();
    let others: Vec<_> = rows.filter(|row| row.outcome != Outcome::Passed).collect();
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
