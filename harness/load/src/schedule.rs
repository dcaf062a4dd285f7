//! The order of the work. The next step follows from the plan and the lines that are written, so that
//! a resumed run goes on as if it had never stopped.

use crate::record::{Attempt, Bottleneck, Line, LoadModel, Plan, Rate};
use crate::results::Log;
use crate::scenario::Scenario;
use crate::statistics::median;

/// Share of the slowest contender's rate that a sweep begins with.
const SWEEP_BEGIN: f64 = 0.25;

/// Most rates of a sweep: the last is some thousand times the first.
const SWEEP_STEPS: i32 = 12;

/// A sweep ends when a contender does not keep up with a rate, or when its 99th percentile is this
/// many times that of the first rate.
const KNEE_P99: f64 = 20.0;

/// Estimated rates of a sweep, which doubles from a quarter: a typical field lies within a factor of
/// eight.
const SWEEP_ESTIMATE: usize = 5;

/// A plan, and what has been done of it.
#[derive(Clone, Copy, Debug)]
pub struct Schedule<'a> {
    pub plan: &'a Plan,
    lines: &'a [Line],
}

/// One start of one contender.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Visit {
    /// From 1; the one of the open loops comes after those of the closed.
    pub(crate) round: u32,
    /// Index in the plan.
    pub(crate) contender: usize,
}

/// One load of a visit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Step {
    pub(crate) scenario: Scenario,
    pub(crate) load_model: LoadModel,
}

impl<'a> Schedule<'a> {
    /// Creates the schedule of a log's run.
    #[must_use]
    pub fn new(log: &'a Log) -> Self {
        Self {
            plan: &log.run().plan,
            lines: log.lines(),
        }
    }

    /// Returns the next contender to start and its round; none if all is done.
    pub(crate) fn next_visit(&self) -> Option<Visit> {
        self.visits().find(|visit| self.next_step(*visit).is_some())
    }

    /// Returns the next load of a visit; none if all of it is done or cannot be done.
    pub(crate) fn next_step(&self, visit: Visit) -> Option<Step> {
        if self.is_abandoned(visit) {
            return None;
        }
        let invalid = self.invalid_loads(visit).map(|scenario| Step {
            scenario,
            load_model: LoadModel::Invalid(self.plan.invalid),
        });
        let steps = self.plan.scenarios.iter().flat_map(|&scenario| {
            let load_models = match self.is_open(visit) {
                true => self
                    .rates(visit, scenario)
                    .into_iter()
                    .map(LoadModel::Open)
                    .collect(),
                false => vec![LoadModel::Closed],
            };
            load_models.into_iter().map(move |load_model| Step {
                scenario,
                load_model,
            })
        });
        let mut steps = invalid.chain(steps);
        steps.find(|step| !self.is_done(visit, *step))
    }

    /// Returns the scenarios that a visit measures with invalid requests.
    fn invalid_loads(&self, visit: Visit) -> impl Iterator<Item = Scenario> {
        let is_ceiling = self.plan.contenders[visit.contender].is_ceiling();
        let has_any = self.plan.invalid > 0.0 && !self.is_open(visit) && !is_ceiling;
        let scenarios = self.plan.scenarios.iter().copied();
        scenarios.filter(move |scenario| has_any && scenario.has_token())
    }

    /// Returns the number of attempts, as far as it is known before they are made.
    #[must_use]
    pub fn planned(&self) -> usize {
        let contenders = &self.plan.contenders;
        let open_contenders = contenders.iter().filter(|planned| !planned.is_ceiling());
        let rates = self.plan.rates.iter().map(|rate| match rate {
            Rate::Fixed(_) | Rate::PercentOfSlowest(_) => 1,
            Rate::Sweep => SWEEP_ESTIMATE,
        });
        let open = open_contenders.count() * rates.sum::<usize>();
        let closed = contenders.len() * self.plan.rounds as usize;
        let invalid = self.visits().map(|visit| self.invalid_loads(visit).count());
        (closed + open) * self.plan.scenarios.len() + invalid.sum::<usize>()
    }

    /// Returns the number of attempts that were made.
    #[must_use]
    pub fn done(&self) -> usize {
        self.attempts().count()
    }

    /// Returns all visits in their order. Each round begins with another contender, so that drift
    /// affects all alike.
    fn visits(&self) -> impl Iterator<Item = Visit> {
        let contenders = self.plan.contenders.len();
        (1..=self.plan.rounds_in_all()).flat_map(move |round| {
            (0..contenders).map(move |place| Visit {
                round,
                contender: (place + round as usize - 1) % contenders,
            })
        })
    }

    fn name(&self, visit: Visit) -> &str {
        &self.plan.contenders[visit.contender].name
    }

    fn attempts(&self) -> impl Iterator<Item = &Attempt> {
        self.lines.iter().filter_map(|line| match line {
            Line::Attempt(attempt) => Some(&**attempt),
            _ => None,
        })
    }

    /// Returns the attempts of one load, whatever their round.
    fn attempts_of(&self, name: &str, step: Step) -> impl Iterator<Item = &Attempt> {
        self.attempts().filter(move |attempt| {
            attempt.contender == name
                && attempt.scenario == step.scenario
                && attempt.load_model == step.load_model
        })
    }

    fn is_open(&self, visit: Visit) -> bool {
        visit.round > self.plan.rounds
    }

    fn is_done(&self, visit: Visit, step: Step) -> bool {
        let mut attempts = self.attempts_of(self.name(visit), step);
        attempts.any(|attempt| attempt.round == visit.round)
    }

    /// Returns true if the contender failed its check or did not start in this round; for open loops,
    /// in any of the closed rounds too.
    fn is_abandoned(&self, visit: Visit) -> bool {
        let (name, is_open) = (self.name(visit), self.is_open(visit));
        let concerns = |contender: &str, round: u32| {
            contender == name && (round == visit.round || (is_open && round <= self.plan.rounds))
        };
        let mut abandoned = is_open && self.plan.contenders[visit.contender].is_ceiling();
        for line in self.lines {
            match line {
                Line::Failure(failure) if concerns(&failure.contender, failure.round) => {
                    abandoned = true;
                }
                // A later start of the same round replaces an earlier one.
                Line::Start(start) if concerns(&start.contender, start.round) => {
                    abandoned = !start.failed.is_empty() || (is_open && abandoned);
                }
                _ => {}
            }
        }
        abandoned
    }

    /// Returns the rates of a contender in a scenario, as far as they follow from the attempts made.
    fn rates(&self, visit: Visit, scenario: Scenario) -> Vec<f64> {
        let slowest = self.slowest(scenario);
        let mut rates = Vec::new();
        for rate in &self.plan.rates {
            match (rate, slowest) {
                (Rate::Fixed(rate), _) => rates.push(*rate),
                (Rate::PercentOfSlowest(percent), Some(slowest)) => {
                    rates.push((slowest * percent / 100.0).round());
                }
                (Rate::Sweep, Some(slowest)) => {
                    rates.extend(self.sweep(self.name(visit), scenario, slowest * SWEEP_BEGIN));
                }
                (Rate::PercentOfSlowest(_) | Rate::Sweep, None) => {}
            }
        }
        rates.retain(|rate| *rate > 0.0);
        rates
    }

    /// Returns rates that double up to the first that is not measured yet, or that the contender did
    /// not keep up with.
    fn sweep(&self, name: &str, scenario: Scenario, begin: f64) -> Vec<f64> {
        let mut rates = Vec::new();
        let mut first_p99_ms = None;
        for step in 0..SWEEP_STEPS {
            let rate = (begin * f64::from(1 << step)).round();
            rates.push(rate);
            let load_model = LoadModel::Open(rate);
            let Some(attempt) = self
                .attempts_of(
                    name,
                    Step {
                        scenario,
                        load_model,
                    },
                )
                .next()
            else {
                break;
            };
            let measured = &attempt.measured;
            let p99_ms = measured.latency.p99_ms;
            let first_p99_ms = *first_p99_ms.get_or_insert(p99_ms);
            if measured.error_count() > 0
                || !measured.keeps_up_with(rate)
                || p99_ms > first_p99_ms * KNEE_P99
            {
                break;
            }
        }
        rates
    }

    /// Returns the requests per second of the slowest contender that was server-bound in closed loop;
    /// of the slowest of all if none was.
    fn slowest(&self, scenario: Scenario) -> Option<f64> {
        let load_model = LoadModel::Closed;
        let rate = |name: &str, is_counted: fn(Bottleneck) -> bool| {
            let attempts = self.attempts_of(
                name,
                Step {
                    scenario,
                    load_model,
                },
            );
            let attempts = attempts.filter(|attempt| is_counted(attempt.bottleneck));
            let rates = attempts.map(|attempt| attempt.measured.requests_per_sec());
            median(&rates.collect::<Vec<_>>())
        };
        let slowest = |is_counted: fn(Bottleneck) -> bool| {
            let contenders = self.plan.contenders.iter();
            let contenders = contenders.filter(|planned| !planned.is_ceiling());
            let rates = contenders.filter_map(|planned| rate(&planned.name, is_counted));
            rates.min_by(f64::total_cmp)
        };
        slowest(|bottleneck| bottleneck == Bottleneck::ServerBound)
            .or_else(|| slowest(|bottleneck| bottleneck != Bottleneck::Errors))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::record::{Failed, Failure, Start};
    use crate::sample::small;

    fn plan(names: &[&str], scenarios: &[Scenario], rates: &[Rate]) -> Plan {
        Plan {
            scenarios: scenarios.to_vec(),
            rounds: 2,
            rates: rates.to_vec(),
            ..small::plan(names)
        }
    }

    /// An attempt of a second at this rate, with this 99th percentile.
    fn attempt(name: &str, round: u32, step: Step, rate: u64, p99_ms: f64) -> Line {
        let mut attempt = Attempt {
            scenario: step.scenario,
            round,
            load_model: step.load_model,
            bottleneck: Bottleneck::ServerBound,
            ..small::attempt(name)
        };
        (attempt.measured.seconds, attempt.measured.requests) = (1.0, rate);
        attempt.measured.latency.p99_ms = p99_ms;
        Line::Attempt(Box::new(attempt))
    }

    fn start(name: &str, round: u32, failed: &[&str]) -> Line {
        let failed = failed.iter().map(|slug| Failed {
            slug: (*slug).to_owned(),
            expected: String::new(),
            actual: String::new(),
        });
        Line::Start(Start {
            contender: name.to_owned(),
            round,
            ready_ms: Some(1.0),
            first_ms: BTreeMap::new(),
            passed: 1,
            failed: failed.collect(),
        })
    }

    const INFO: Step = Step {
        scenario: Scenario::Info,
        load_model: LoadModel::Closed,
    };

    fn open(rate: f64) -> Step {
        Step {
            load_model: LoadModel::Open(rate),
            ..INFO
        }
    }

    fn next(plan: &Plan, lines: &[Line]) -> Option<(Visit, Step)> {
        let schedule = Schedule { plan, lines };
        let visit = schedule.next_visit()?;
        Some((visit, schedule.next_step(visit)?))
    }

    /// Executes the plan: `answer` returns the rate and the 99th percentile of each load.
    fn executed(plan: &Plan, mut answer: impl FnMut(&str, Step) -> (u64, f64)) -> Vec<String> {
        let (mut lines, mut executed) = (Vec::new(), Vec::new());
        while let Some((visit, step)) = next(plan, &lines) {
            let name = &plan.contenders[visit.contender].name;
            let load_model = match step.load_model {
                LoadModel::Closed => "closed".to_owned(),
                LoadModel::Open(rate) => rate.to_string(),
                LoadModel::Invalid(share) => format!("{share} invalid"),
            };
            executed.push(format!("{} {name} {load_model}", visit.round));
            let (rate, p99_ms) = answer(name, step);
            lines.push(attempt(name, visit.round, step, rate, p99_ms));
        }
        executed
    }

    #[test]
    fn each_round_begins_with_another_contender() {
        let plan = plan(&["a", "b", "c"], &[Scenario::Info], &[]);
        let order = executed(&plan, |_, _| (1000, 1.0));
        assert_eq!(
            order.join(", "),
            "1 a closed, 1 b closed, 1 c closed, 2 b closed, 2 c closed, 2 a closed"
        );
    }

    #[test]
    fn written_attempt_is_not_repeated() {
        let plan = plan(&["a", "b"], &[Scenario::Info, Scenario::Movies], &[]);
        let lines = [start("a", 1, &[]), attempt("a", 1, INFO, 1000, 1.0)];
        let (visit, step) = next(&plan, &lines).unwrap();
        assert_eq!((visit.round, visit.contender), (1, 0));
        assert_eq!(step.scenario, Scenario::Movies);
    }

    #[test]
    fn failed_contender_is_not_measured_in_that_round_nor_in_open_loop() {
        let plan = plan(&["a", "b"], &[Scenario::Info], &[Rate::Fixed(10.0)]);
        let mut lines = vec![
            start("a", 1, &["info/value"]),
            attempt("b", 1, INFO, 1000, 1.0),
            attempt("b", 2, INFO, 1000, 1.0),
        ];
        let (visit, _) = next(&plan, &lines).unwrap();
        assert_eq!((visit.round, visit.contender), (2, 0));
        lines.push(Line::Failure(Failure {
            contender: "a".to_owned(),
            round: 2,
            error: "does not start".to_owned(),
        }));
        let (visit, step) = next(&plan, &lines).unwrap();
        assert_eq!((visit.round, visit.contender, step), (3, 1, open(10.0)));
        lines.push(attempt("b", 3, open(10.0), 10, 1.0));
        assert_eq!(next(&plan, &lines), None);
    }

    #[test]
    fn later_start_of_a_round_replaces_a_failed_one() {
        let plan = plan(&["a"], &[Scenario::Info], &[]);
        let lines = [start("a", 1, &["info/value"]), start("a", 1, &[])];
        let (visit, _) = next(&plan, &lines).unwrap();
        assert_eq!((visit.round, visit.contender), (1, 0));
    }

    #[test]
    fn percentages_are_of_the_slowest_but_the_ceiling_and_each_rate_is_measured_once() {
        let rates = [
            Rate::PercentOfSlowest(25.0),
            Rate::Fixed(7.0),
            Rate::Fixed(250.0),
        ];
        let plan = plan(&["ceiling", "a", "b"], &[Scenario::Info], &rates);
        let order = executed(&plan, |name, step| match (name, step.load_model) {
            ("ceiling", _) => (10, 1.0),
            ("a", LoadModel::Closed) => (1000, 1.0),
            _ => (4000, 1.0),
        });
        // The third round begins with the third contender.
        assert_eq!(order[6..].join(", "), "3 b 250, 3 b 7, 3 a 250, 3 a 7");
    }

    #[test]
    fn invalid_requests_are_measured_in_each_round_but_not_of_the_ceiling() {
        let mut plan = plan(&["ceiling", "a"], &[Scenario::Info, Scenario::Movies], &[]);
        (plan.rounds, plan.invalid) = (1, 0.1);
        let order = executed(&plan, |_, _| (1000, 1.0));
        let of_contender = "1 a 0.1 invalid, 1 a closed, 1 a closed";
        assert_eq!(
            order.join(", "),
            format!("1 ceiling closed, 1 ceiling closed, {of_contender}")
        );
        assert_eq!(
            Schedule {
                plan: &plan,
                lines: &[]
            }
            .planned(),
            5
        );
    }

    #[test]
    fn sweep_doubles_until_the_contender_falls_behind_or_slows_down() {
        let plan = plan(&["a"], &[Scenario::Info], &[Rate::Sweep]);
        let falls_behind = executed(&plan, |_, step| match step.load_model {
            LoadModel::Closed => (1000, 1.0),
            LoadModel::Open(rate) => ((rate as u64).min(900), 1.0),
            LoadModel::Invalid(_) => unreachable!("none are planned"),
        });
        assert_eq!(falls_behind[2..].join(", "), "3 a 250, 3 a 500, 3 a 1000");
        let slows_down = executed(&plan, |_, step| match step.load_model {
            LoadModel::Closed => (1000, 1.0),
            LoadModel::Open(rate) => (rate as u64, if rate > 400.0 { 21.0 } else { 1.0 }),
            LoadModel::Invalid(_) => unreachable!("none are planned"),
        });
        assert_eq!(slows_down[2..].join(", "), "3 a 250, 3 a 500");
    }
}
