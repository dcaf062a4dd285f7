//! Mutants of the body of `POST /movies`.

mod accepted;
mod refused;

use crate::mutant::Mutant;

pub(crate) fn mutants() -> Vec<Mutant> {
    let mut mutants = accepted::mutants();
    mutants.extend(refused::mutants());
    mutants
}
