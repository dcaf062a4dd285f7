//! Services that cheat: every one is as fast as the work that it leaves out, and each is caught.

mod answers;
mod k6;
mod kept;
mod tokens;

use crate::server::Mutant;

pub(crate) fn mutants() -> Vec<Mutant> {
    [answers::mutants(), kept::mutants(), tokens::mutants()]
        .into_iter()
        .flatten()
        .collect()
}
