//! What the bars of a run show: what a request costs, or, in a run from elsewhere that does not tell,
//! how many there were.

use super::super::cell::Cell;
use super::super::standings::{Standing, Standings};
use super::super::statistics::Estimate;
use super::figure::{short, whole};

/// What the bars of a run show.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Axis {
    /// Processor time per request.
    Cost,
    /// Requests per second.
    Rate,
}

impl Axis {
    /// The cost wherever it is known of anybody, or nothing is.
    pub(super) fn of(standings: &Standings<'_>) -> Self {
        let mut costs = standings.cells().filter_map(|cell| cell.cpu_us_per_request);
        let mut rates = standings.cells().filter_map(|cell| cell.requests_per_sec);
        match (costs.next(), rates.next()) {
            (None, Some(_)) => Self::Rate,
            _ => Self::Cost,
        }
    }

    /// Its name.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Cost => "Processor time per request",
            Self::Rate => "Requests per second",
        }
    }

    /// Its unit and what is better, to stand in a sentence.
    pub(super) fn about(self) -> &'static str {
        match self {
            Self::Cost => "µs, less is better",
            Self::Rate => "more is better",
        }
    }

    /// What stands behind a figure.
    pub(super) fn unit(self) -> &'static str {
        match self {
            Self::Cost => " µs",
            Self::Rate => " /s",
        }
    }

    /// A figure as it is read.
    pub(super) fn text(self, figure: f64) -> String {
        match self {
            Self::Cost => short(figure),
            Self::Rate => whole(figure),
        }
    }

    /// The figure of a cell.
    pub(super) fn estimate(self, cell: &Cell<'_>) -> Option<Estimate> {
        match self {
            Self::Cost => cell.cpu_us_per_request,
            Self::Rate => cell.requests_per_sec,
        }
    }

    /// The rank by it.
    pub(super) fn rank(self, cell: &Cell<'_>) -> Option<usize> {
        match self {
            Self::Cost => cell.cpu_rank,
            Self::Rate => cell.rate_rank,
        }
    }

    /// Whether there is something to be shown of a scenario.
    pub(super) fn has(self, standing: &Standing<'_>) -> bool {
        match self {
            Self::Cost => !standing.leaders().is_empty(),
            Self::Rate => standing
                .cells
                .iter()
                .any(|cell| cell.requests_per_sec.is_some()),
        }
    }
}
