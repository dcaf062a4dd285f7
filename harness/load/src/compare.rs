//! The comparison of two runs: relative changes and their significance.

use serde::Serialize;

use super::cell::combined;
use super::record::{Attempt, Bottleneck, Run};
use super::results::Results;
use super::scenario::Scenario;
use super::statistics::Change;
use testbed::number::NONE;
use testbed::table::{self, Column, Table, escape};

/// The significance of a change.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Significance {
    /// The interval excludes zero.
    Real,
    /// The interval includes zero.
    Noise,
    /// A run with a single attempt has no interval.
    OneAttempt,
    /// In one of the runs the contender was not the bottleneck of its rate.
    NotServerBound,
}

impl Significance {
    fn name(self) -> &'static str {
        match self {
            Self::Real => "real",
            Self::Noise => "noise",
            Self::OneAttempt => "one attempt",
            Self::NotServerBound => "not server-bound",
        }
    }
}

/// The change of a metric from the first run to the second.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
struct Compared {
    #[serde(flatten)]
    change: Change,
    significance: Significance,
}

/// A contender in a scenario in both runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Pair {
    contender: String,
    scenario: Scenario,
    cpu_us_per_request: Option<Compared>,
    requests_per_sec: Option<Compared>,
}

/// The comparison of two runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// Other differences between the runs, and contenders in only one of them.
    notes: Vec<String>,
    /// In the order of the first run.
    pairs: Vec<Pair>,
}

impl Comparison {
    /// Compares two runs.
    #[must_use]
    pub fn between(before: &Results, after: &Results) -> Self {
        let mut pairs = Vec::new();
        for contender in &before.run.plan.contenders {
            for scenario in &before.run.plan.scenarios {
                let attempts = [before, after].map(|run| attempts(run, &contender.name, *scenario));
                let [before, after] = &attempts;
                if before.is_empty() || after.is_empty() {
                    continue;
                }
                let is_server_bound = attempts.iter().all(|attempts| {
                    let bottlenecks = attempts.iter().map(|attempt| attempt.bottleneck);
                    combined(&bottlenecks.collect::<Vec<_>>()) == Some(Bottleneck::ServerBound)
                });
                let rate = |attempt: &Attempt| Some(attempt.measured.requests_per_sec());
                pairs.push(Pair {
                    contender: contender.name.clone(),
                    scenario: *scenario,
                    cpu_us_per_request: compared(&attempts, true, Attempt::cpu_us_per_request),
                    requests_per_sec: compared(&attempts, is_server_bound, rate),
                });
            }
        }
        Self {
            notes: notes(before, after),
            pairs,
        }
    }

    /// Renders the comparison for a terminal.
    #[must_use]
    pub fn text(&self) -> String {
        let notes = self.notes.iter().map(|note| format!("{note}\n"));
        let table = columns().terminal(self.pairs.iter());
        format!("{}\n{table}", notes.collect::<String>())
    }

    /// Renders the comparison as Markdown.
    #[must_use]
    pub fn markdown(&self) -> String {
        let notes = self.notes.iter();
        let notes = notes.map(|note| format!("- {}\n", escape(note)));
        let table = columns().markdown(self.pairs.iter());
        format!("{}\n{table}", notes.collect::<String>())
    }
}

fn columns() -> Table<'static, Pair> {
    type Metric = fn(&Pair) -> Option<Compared>;
    let metric = |title, unit, metric: Metric| -> [Column<'static, Pair>; 3] {
        [
            Column::number(title, unit, move |pair: &Pair| match metric(pair) {
                Some(compared) => format!("{} %", signed(compared.change.ratio)),
                None => NONE.to_owned(),
            }),
            Column::number("95 %", "", move |pair: &Pair| match metric(pair) {
                Some(Compared {
                    significance: Significance::OneAttempt,
                    ..
                })
                | None => String::new(),
                Some(Compared { change, .. }) => {
                    format!("{} to {}", signed(change.low), signed(change.high))
                }
            }),
            Column::text("", move |pair: &Pair| {
                let significance = metric(pair).map(|compared| compared.significance);
                let cell = table::Cell::from(significance.map_or("", Significance::name));
                match significance {
                    Some(Significance::Real) => cell.strong(),
                    _ => cell,
                }
            }),
        ]
    };
    let names = [
        Column::text("contender", |pair: &Pair| pair.contender.clone()),
        Column::text("scenario", |pair: &Pair| pair.scenario.name()),
    ];
    let cpu = metric("CPU", "µs/request", |pair| pair.cpu_us_per_request);
    let rate = metric("requests", "/s", |pair| pair.requests_per_sec);
    Table::new(names.into_iter().chain(cpu).chain(rate))
}

fn signed(share: f64) -> String {
    format!("{:+.1}", share * 100.0)
}

fn attempts<'a>(results: &'a Results, contender: &str, scenario: Scenario) -> Vec<&'a Attempt> {
    let closed = results.closed();
    let attempts = closed.filter(|it| it.contender == contender && it.scenario == scenario);
    attempts
        .filter(|attempt| attempt.measured.requests > 0)
        .collect()
}

fn compared(
    attempts: &[Vec<&Attempt>; 2],
    is_server_bound: bool,
    metric: impl Fn(&Attempt) -> Option<f64>,
) -> Option<Compared> {
    let values = |attempts: &Vec<&Attempt>| -> Vec<f64> {
        let attempts = attempts.iter();
        attempts.filter_map(|attempt| metric(attempt)).collect()
    };
    let [before, after] = attempts;
    let (before, after) = (values(before), values(after));
    let change = Change::between(&before, &after)?;
    let significance = match change.excludes_zero() {
        _ if !is_server_bound => Significance::NotServerBound,
        _ if before.len() < 2 || after.len() < 2 => Significance::OneAttempt,
        true => Significance::Real,
        false => Significance::Noise,
    };
    Some(Compared {
        change,
        significance,
    })
}

fn notes(before: &Results, after: &Results) -> Vec<String> {
    type Setting = (&'static str, fn(&Run) -> String);
    let settings: [Setting; 7] = [
        ("host", |run| run.machine.host.clone()),
        ("CPU", |run| run.machine.cpu.clone()),
        ("kernel", |run| run.machine.kernel.clone()),
        ("engine", |run| run.plan.engine.clone()),
        ("connections", |run| run.plan.connections.to_string()),
        ("workers", |run| run.plan.workers.to_string()),
        ("measured seconds", |run| run.plan.duration_secs.to_string()),
    ];
    let mut notes = Vec::new();
    for (name, setting) in settings {
        let (before, after) = (setting(&before.run), setting(&after.run));
        if before != after {
            notes.push(format!("{name} differs: {before}, then {after}"));
        }
    }
    for (which, results, other) in [("first", before, after), ("second", after, before)] {
        if results.ended_at.is_none() {
            notes.push(format!(
                "the {which} run was interrupted or is not done yet"
            ));
        }
        let names = results.run.plan.contenders.iter();
        let names = names.map(|contender| contender.name.as_str());
        let only = names.filter(|name| other.baseline(Some(*name)).is_err());
        let only: Vec<_> = only.collect();
        if !only.is_empty() {
            notes.push(format!("only in the {which} run: {}", only.join(", ")));
        }
    }
    let fewest = before.run.plan.rounds.min(after.run.plan.rounds);
    if let Some(chance) = false_positives(fewest) {
        notes.push(format!(
            "with {fewest} rounds, {chance} % of all changes look real by chance"
        ));
    }
    notes
}

/// Returns the percentage of equal pairs of runs whose change looks real, where it is well above the
/// intended 5 %. For two and three rounds it is the chance of disjoint ranges, 2 of 6 and 2 of 20
/// orders; for four rounds it was found by simulating 1,500 normally distributed pairs.
fn false_positives(rounds: u32) -> Option<u32> {
    match rounds {
        2 => Some(33),
        3 => Some(10),
        4 => Some(8),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    /// Returns a run in which axum needs half of the CPU time per request in `catalog`, at twice the
    /// rate.
    fn faster() -> Results {
        let mut results = sample::results();
        for attempt in &mut results.attempts {
            if attempt.contender == "axum" && attempt.scenario == Scenario::Catalog {
                attempt.measured.requests *= 2;
            }
        }
        results
    }

    fn significances(
        comparison: &Comparison,
        contender: &str,
        scenario: Scenario,
    ) -> [Significance; 2] {
        let mut pairs = comparison.pairs.iter();
        let is_asked = |pair: &&Pair| pair.contender == contender && pair.scenario == scenario;
        let pair = pairs.find(is_asked).unwrap();
        [pair.cpu_us_per_request, pair.requests_per_sec].map(|it| it.unwrap().significance)
    }

    #[test]
    fn change_beyond_the_spread_of_rounds_is_real_and_other_changes_are_noise() {
        use Significance::{Noise, NotServerBound, OneAttempt, Real};
        let (before, mut after) = (sample::results(), faster());
        let comparison = Comparison::between(&before, &after);
        let of = |name, scenario| significances(&comparison, name, scenario);
        assert_eq!(of("axum", Scenario::Catalog), [Real, Real]);
        assert_eq!(of("axum", Scenario::Info), [Noise, Noise]);
        assert_eq!(of("flask", Scenario::Catalog), [Noise, NotServerBound]);
        after.attempts.retain(|attempt| attempt.round == 1);
        let comparison = Comparison::between(&before, &after);
        let single = significances(&comparison, "axum", Scenario::Catalog);
        assert_eq!(single, [OneAttempt, OneAttempt]);
    }

    #[test]
    fn other_differences_are_noted() {
        let mut after = sample::results();
        after.run.machine.kernel = "Linux 6.12.0".to_owned();
        after.ended_at = None;
        after.run.plan.contenders.retain(|it| it.name != "gin");
        let comparison = Comparison::between(&sample::results(), &after);
        assert_eq!(
            comparison.notes,
            [
                "kernel differs: Linux 6.1.0, then Linux 6.12.0",
                "only in the first run: gin",
                "the second run was interrupted or is not done yet",
                "with 3 rounds, 10 % of all changes look real by chance",
            ]
        );
    }
}
