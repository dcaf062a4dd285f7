//! Two runs side by side: what has changed, and what of it is real.

mod table;

use serde::Serialize;

use super::cell::combined;
use super::record::{Attempt, Bottleneck};
use super::results::Results;
use super::scenario::Scenario;
use super::statistics::Change;

/// Whether a change is more than noise.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Word {
    /// Its interval leaves out zero.
    Real,
    /// Its interval holds zero.
    Noise,
    /// One of the runs has a single attempt, and that has no interval.
    OneAttempt,
    /// In one of the runs it was not server-bound: its rate is that of somebody else.
    NotServerBound,
    /// In one of the runs it is not known whether it was server-bound.
    BoundUnknown,
}

impl Word {
    /// As it stands in tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Real => "real",
            Self::Noise => "noise",
            Self::OneAttempt => "one attempt",
            Self::NotServerBound => "not server-bound",
            Self::BoundUnknown => "bound unknown",
        }
    }
}

/// A figure of a cell in both runs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Compared {
    /// From the first run to the second.
    #[serde(flatten)]
    pub change: Change,
    /// What it is worth.
    pub word: Word,
}

/// A contender in a scenario, in both runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Pair {
    /// Its name.
    pub contender: String,
    /// The scenario.
    pub scenario: Scenario,
    /// Processor time per request.
    pub cpu_us_per_request: Option<Compared>,
    /// Right answers per second.
    pub requests_per_sec: Option<Compared>,
}

/// What two runs have to say about each other.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// What makes the runs differ besides the contenders.
    pub notes: Vec<String>,
    /// Every contender in both, in the order of the first.
    pub pairs: Vec<Pair>,
    /// Contenders of the first run alone.
    pub only_before: Vec<String>,
    /// Contenders of the second run alone.
    pub only_after: Vec<String>,
}

impl Comparison {
    /// From one run to another.
    #[must_use]
    pub fn between(before: &Results, after: &Results) -> Self {
        let contenders = before.run.plan.contenders.iter();
        let scenarios = &before.run.plan.scenarios;
        let cells =
            contenders.flat_map(|of| scenarios.iter().map(|scenario| (&of.name, *scenario)));
        let pairs = cells.filter_map(|(contender, scenario)| {
            let before = attempts(before, contender, scenario);
            let after = attempts(after, contender, scenario);
            (!before.is_empty() && !after.is_empty()).then(|| Pair {
                contender: contender.clone(),
                scenario,
                cpu_us_per_request: compared(&before, &after, None, &|attempt| {
                    attempt.cpu_us_per_request()
                }),
                requests_per_sec: compared(
                    &before,
                    &after,
                    not_its_own(&before, &after),
                    &|attempt| Some(attempt.measured.requests_per_sec()),
                ),
            })
        });
        Self {
            notes: notes(before, after),
            pairs: pairs.collect(),
            only_before: only_in(before, after),
            only_after: only_in(after, before),
        }
    }
}

fn attempts<'a>(results: &'a Results, contender: &str, scenario: Scenario) -> Vec<&'a Attempt> {
    let closed = results.closed();
    let of = closed.filter(|of| of.contender == contender && of.scenario == scenario);
    of.filter(|attempt| attempt.measured.requests > 0).collect()
}

/// Why a rate is not known to be the contender's own in both runs; none if it is.
fn not_its_own(before: &[&Attempt], after: &[&Attempt]) -> Option<Word> {
    let bottlenecks = [before, after].map(|attempts| {
        let bottlenecks: Vec<_> = attempts.iter().map(|attempt| attempt.bottleneck).collect();
        combined(&bottlenecks)
    });
    let others = bottlenecks
        .iter()
        .filter(|bottleneck| **bottleneck != Some(Bottleneck::ServerBound));
    let words = others.map(|bottleneck| match bottleneck {
        Some(Bottleneck::Unknown) => Word::BoundUnknown,
        _ => Word::NotServerBound,
    });
    words.min_by_key(|word| *word == Word::BoundUnknown)
}

fn compared(
    before: &[&Attempt],
    after: &[&Attempt],
    not_its_own: Option<Word>,
    figure: &dyn Fn(&Attempt) -> Option<f64>,
) -> Option<Compared> {
    let values = |attempts: &[&Attempt]| -> Vec<f64> {
        attempts
            .iter()
            .filter_map(|attempt| figure(attempt))
            .collect()
    };
    let (before, after) = (values(before), values(after));
    let change = Change::between(&before, &after)?;
    let word = match not_its_own {
        Some(word) => word,
        None if before.len() < 2 || after.len() < 2 => Word::OneAttempt,
        None if change.excludes_zero() => Word::Real,
        None => Word::Noise,
    };
    Some(Compared { change, word })
}

fn only_in(one: &Results, other: &Results) -> Vec<String> {
    let names = one
        .run
        .plan
        .contenders
        .iter()
        .map(|contender| &contender.name);
    let only = names.filter(|name| other.contender(name).is_err());
    only.cloned().collect()
}

fn notes(before: &Results, after: &Results) -> Vec<String> {
    let mut notes = Vec::new();
    let (a, b) = (&before.run, &after.run);
    let mut differ = |what: &str, before: String, after: String| {
        if before != after {
            notes.push(format!("{what} differs: {before}, then {after}"));
        }
    };
    differ("host", a.machine.host.clone(), b.machine.host.clone());
    differ("processor", a.machine.cpu.clone(), b.machine.cpu.clone());
    differ("kernel", a.machine.kernel.clone(), b.machine.kernel.clone());
    differ("engine", a.plan.engine.clone(), b.plan.engine.clone());
    differ(
        "connections",
        a.plan.connections.to_string(),
        b.plan.connections.to_string(),
    );
    differ(
        "workers",
        a.plan.workers.to_string(),
        b.plan.workers.to_string(),
    );
    differ(
        "measured seconds",
        a.plan.duration_secs.to_string(),
        b.plan.duration_secs.to_string(),
    );
    let unfinished = [("first", before), ("second", after)].into_iter();
    for (which, _) in unfinished
        .filter(|(_, results)| results.ended_at.is_none() && results.run.imported.is_none())
    {
        notes.push(format!(
            "the {which} run was interrupted or is not done yet"
        ));
    }
    let fewest = a.plan.rounds.min(b.plan.rounds);
    if let Some(chance) = chance_of_seeming_real(fewest) {
        notes.push(format!(
            "with {fewest} rounds, {chance} % of all changes look real by chance"
        ));
    }
    notes
}

/// The chance, in per cent, that two sets of as many attempts at the same thing seem to differ,
/// where it is well above the 5 % that is meant. Of two and of three it is that of no overlap, 2 of
/// 6 and 2 of 20 ways to be ordered; of four it was found by trying 1,500 normally distributed pairs.
fn chance_of_seeming_real(rounds: u32) -> Option<u32> {
    match rounds {
        2 => Some(33),
        3 => Some(10),
        4 => Some(8),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    /// Half as costly and twice as fast in one cell.
    fn faster() -> Results {
        let mut results = sample::results();
        let ours = |attempt: &&mut Attempt| {
            attempt.contender == "axum" && attempt.scenario == Scenario::Catalog
        };
        for attempt in results.attempts.iter_mut().filter(ours) {
            attempt.measured.requests *= 2;
        }
        results
    }

    fn pair<'a>(comparison: &'a Comparison, contender: &str, scenario: Scenario) -> &'a Pair {
        let mut pairs = comparison.pairs.iter();
        pairs
            .find(|pair| pair.contender == contender && pair.scenario == scenario)
            .unwrap()
    }

    #[test]
    fn a_run_against_itself_is_noise_all_over() {
        let results = sample::results();
        let comparison = Comparison::between(&results, &results);
        assert_eq!(comparison.pairs.len(), 9 * 4);
        for pair in &comparison.pairs {
            let cpu = pair.cpu_us_per_request.unwrap();
            assert_eq!((cpu.change.ratio, cpu.word), (0.0, Word::Noise), "{pair:?}");
        }
    }

    #[test]
    fn a_change_beyond_the_rounds_is_real() {
        let comparison = Comparison::between(&sample::results(), &faster());
        let axum = pair(&comparison, "axum", Scenario::Catalog);
        let (cpu, rate) = (
            axum.cpu_us_per_request.unwrap(),
            axum.requests_per_sec.unwrap(),
        );
        assert_eq!((cpu.word, rate.word), (Word::Real, Word::Real));
        assert!((cpu.change.ratio + 0.5).abs() < 1e-9);
        assert!((rate.change.ratio - 1.0).abs() < 1e-9);
        let other = pair(&comparison, "axum", Scenario::Info);
        assert_eq!(other.cpu_us_per_request.unwrap().word, Word::Noise);
    }

    #[test]
    fn a_rate_that_somebody_else_set_is_not_compared() {
        let results = sample::results();
        let comparison = Comparison::between(&results, &results);
        let flask = pair(&comparison, "flask", Scenario::Catalog);
        assert_eq!(flask.requests_per_sec.unwrap().word, Word::NotServerBound);
    }

    #[test]
    fn one_attempt_says_nothing_about_a_change() {
        let mut single = faster();
        single.attempts.retain(|attempt| attempt.round == 1);
        let comparison = Comparison::between(&sample::results(), &single);
        let axum = pair(&comparison, "axum", Scenario::Catalog);
        assert_eq!(axum.cpu_us_per_request.unwrap().word, Word::OneAttempt);
    }

    #[test]
    fn who_is_in_one_run_only_is_named() {
        let mut without = sample::results();
        without
            .run
            .plan
            .contenders
            .retain(|contender| contender.name != "gin");
        let comparison = Comparison::between(&sample::results(), &without);
        assert_eq!(comparison.only_before, ["gin"]);
        assert!(comparison.only_after.is_empty());
        assert!(comparison.text().contains("only in the first run: gin"));
    }

    #[test]
    fn what_else_differs_is_noted() {
        let mut other = sample::results();
        other.run.machine.kernel = "Linux 6.12.0".to_owned();
        other.ended_at = None;
        let text = Comparison::between(&sample::results(), &other).text();
        assert!(
            text.contains("kernel differs: Linux 6.1.0, then Linux 6.12.0\n"),
            "{text}"
        );
        assert!(text.contains("the second run was interrupted or is not done yet\n"));
        assert!(text.contains("with 3 rounds, 10 % of all changes look real by chance\n"));
    }

    #[test]
    fn the_markdown_has_a_row_for_each_cell_and_marks_what_is_real() {
        let markdown = Comparison::between(&sample::results(), &faster()).markdown();
        let rows = markdown.lines().filter(|line| line.starts_with("| "));
        assert_eq!(rows.count(), 1 + 9 * 4);
        assert!(
            markdown.contains("| axum | catalog | -50.0 % |"),
            "{markdown}"
        );
        assert!(markdown.contains("| **real** |"));
    }
}
