//! Mutants of the body of `POST /movies`.

pub(crate) mod post;
mod refused;
mod sizes;
mod taken;

use crate::server::Mutant;

pub(crate) fn mutants() -> Vec<Mutant> {
    [refused::mutants(), sizes::mutants(), taken::mutants()]
        .into_iter()
        .flatten()
        .collect()
}
