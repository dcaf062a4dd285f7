//! What is to be done next. It follows from the plan and from what is written down already, so a run
//! that is taken up again goes on as if it had never stopped.

use std::time::Duration;

use super::record::{Attempt, Bottleneck, Line, Pace, Plan, Rate};
use super::scenario::Scenario;
use super::statistics::median;

/// A sweep begins with this share of the slowest contender's rate.
const SWEEP_FROM: f64 = 0.25;

/// A sweep ends here at the latest: at some thousand times where it began.
const SWEEP_STEPS: i32 = 12;

/// A contender is beyond its knee when it does not keep up with a rate, or when its 99th percentile is
/// this many times that of the sweep's first rate.
const KNEE_P99: f64 = 20.0;

/// What a start costs beside the load: Postgres, the contender, the check.
const VISIT: Duration = Duration::from_secs(9);

/// What an attempt costs beside the load: connections, and a breath.
const BREATH: Duration = Duration::from_millis(400);

/// A plan, and what was done of it.
#[derive(Clone, Copy, Debug)]
pub struct Schedule<'a> {
    pub plan: &'a Plan,
    pub lines: &'a [Line],
}

/// One start of one contender.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Visit {
    /// From 1; those of the open loops come after the last of the closed.
    pub round: u32,
    /// Its place in the plan.
    pub contender: usize,
}

/// One load of a visit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    pub scenario: Scenario,
    pub pace: Pace,
}

impl Schedule<'_> {
    /// The next contender to start, and the round that it is started for; none if all is done.
    pub fn next_visit(&self) -> Option<Visit> {
        self.visits().find(|visit| self.next_step(*visit).is_some())
    }

    /// The next load of a visit; none if all of it is done, or nothing more is to be had.
    pub fn next_step(&self, visit: Visit) -> Option<Step> {
        if self.is_abandoned(visit) {
            return None;
        }
        if !self.is_open(visit) {
            let closed = self.plan.scenarios.iter().map(|scenario| Step {
                scenario: *scenario,
                pace: Pace::Closed,
            });
            return closed.into_iter().find(|step| !self.is_done(visit, *step));
        }
        let open = |scenario: Scenario| {
            let rates = self.rates(visit, scenario).into_iter();
            rates.map(move |rate| Step {
                scenario,
                pace: Pace::Open(rate),
            })
        };
        let mut steps = self.plan.scenarios.iter().copied().flat_map(open);
        steps.find(|step| !self.is_done(visit, *step))
    }

    /// Attempts of the closed loops, in all.
    pub fn closed_attempts(&self) -> usize {
        self.plan.contenders.len() * self.plan.scenarios.len() * self.plan.rounds as usize
    }

    /// Attempts that were made.
    pub fn done(&self) -> usize {
        self.attempts().count()
    }

    /// Loads of open loops that are asked for, as far as it is known before they run.
    pub fn open_attempts(&self) -> usize {
        let rates = self.plan.rates.iter().map(|rate| match rate {
            Rate::Fixed(_) | Rate::PercentOfSlowest(_) => 1,
            // Doubled from a quarter: a typical field lies within a factor of eight.
            Rate::Sweep => 5,
        });
        let contenders = self
            .plan
            .contenders
            .iter()
            .filter(|planned| !planned.is_ceiling);
        let cells = contenders.count() * self.plan.scenarios.len();
        cells * rates.sum::<usize>()
    }

    /// About how long all that is left will take.
    pub fn estimate(&self) -> Duration {
        let attempts = (self.closed_attempts() + self.open_attempts()).saturating_sub(self.done());
        let load = self.plan.warmup_secs + self.plan.duration_secs;
        let attempt = Duration::from_secs_f64(load) + BREATH;
        // What the open loops ask for may follow from the closed ones.
        let is_to_come =
            |visit: &Visit| self.is_open(*visit) && self.done() < self.closed_attempts();
        let left = |visit: &Visit| is_to_come(visit) || self.next_step(*visit).is_some();
        let visits = self.visits().filter(left).count();
        VISIT * u32::try_from(visits).unwrap_or(u32::MAX)
            + attempt * u32::try_from(attempts).unwrap_or(u32::MAX)
    }

    /// All starts, in their order: each round begins with another contender, so that whatever drifts
    /// hits everyone alike.
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

    fn is_open(&self, visit: Visit) -> bool {
        visit.round > self.plan.rounds
    }

    fn is_done(&self, visit: Visit, step: Step) -> bool {
        self.attempts().any(|attempt| {
            attempt.contender == self.name(visit)
                && attempt.round == visit.round
                && attempt.scenario == step.scenario
                && attempt.pace == step.pace
        })
    }

    /// Whether the contender failed its check or could not be started in this round; for a round of
    /// open loops, in any of the closed ones too.
    fn is_abandoned(&self, visit: Visit) -> bool {
        let name = self.name(visit);
        let is_open = self.is_open(visit);
        let concerns = |round: u32| round == visit.round || (is_open && round <= self.plan.rounds);
        let mut abandoned = false;
        for line in self.lines {
            match line {
                Line::Failure(failure) if failure.contender == name && concerns(failure.round) => {
                    abandoned = true;
                }
                // A later start of the same round says better.
                Line::Start(start) if start.contender == name && concerns(start.round) => {
                    abandoned = !start.failed.is_empty() || (is_open && abandoned);
                }
                _ => {}
            }
        }
        abandoned || (is_open && self.plan.contenders[visit.contender].is_ceiling)
    }

    /// The rates that a contender is asked for in a scenario, as far as they follow from what was
    /// measured; the last of a sweep is the one that it did not keep up with.
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
                    rates.extend(self.sweep(visit, scenario, slowest * SWEEP_FROM));
                }
                (Rate::PercentOfSlowest(_) | Rate::Sweep, None) => {}
            }
        }
        rates.retain(|rate| *rate > 0.0);
        rates
    }

    fn sweep(&self, visit: Visit, scenario: Scenario, from: f64) -> Vec<f64> {
        let mut rates = Vec::new();
        let mut first_p99_ms = None;
        for step in 0..SWEEP_STEPS {
            let rate = (from * f64::from(1 << step)).round();
            rates.push(rate);
            let attempt = self.attempts().find(|attempt| {
                attempt.contender == self.name(visit)
                    && attempt.scenario == scenario
                    && attempt.pace == Pace::Open(rate)
            });
            // What comes after it is not known yet.
            let Some(Attempt { measured, .. }) = attempt else {
                break;
            };
            let p99_ms = measured.latency.p99_ms;
            let begun_with = *first_p99_ms.get_or_insert(p99_ms);
            if measured.error_count() > 0
                || !measured.keeps_up_with(rate)
                || p99_ms > begun_with * KNEE_P99
            {
                break;
            }
        }
        rates
    }

    /// Requests per second of the slowest contender that was server-bound in the closed loop; of the
    /// slowest of all if none was.
    fn slowest(&self, scenario: Scenario) -> Option<f64> {
        let rate = |name: &str, is_server_bound: bool| {
            let rates: Vec<f64> = self
                .attempts()
                .filter(|attempt| {
                    attempt.contender == name
                        && attempt.scenario == scenario
                        && attempt.pace == Pace::Closed
                        && attempt.bottleneck != Bottleneck::Errors
                        && (!is_server_bound || attempt.bottleneck == Bottleneck::ServerBound)
                })
                .map(|attempt| attempt.measured.requests_per_sec())
                .collect();
            median(&rates)
        };
        let slowest = |is_server_bound: bool| {
            let contenders = self
                .plan
                .contenders
                .iter()
                .filter(|planned| !planned.is_ceiling);
            contenders
                .filter_map(|planned| rate(&planned.name, is_server_bound))
                .min_by(f64::total_cmp)
        };
        slowest(true).or_else(|| slowest(false))
    }
}

#[cfg(test)]
mod tests {
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
            pace: step.pace,
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
            ready_ms: 1.0,
            passed: 1,
            failed: failed.collect(),
        })
    }

    const INFO: Step = Step {
        scenario: Scenario::Info,
        pace: Pace::Closed,
    };

    fn open(rate: f64) -> Step {
        Step {
            scenario: Scenario::Info,
            pace: Pace::Open(rate),
        }
    }

    /// Does all that is asked for, as `answer` says, and names what was done.
    fn done(plan: &Plan, mut answer: impl FnMut(&str, Step) -> (u64, f64)) -> Vec<String> {
        let (mut lines, mut done) = (Vec::new(), Vec::new());
        while let Some((visit, step)) = next(plan, &lines) {
            let name = &plan.contenders[visit.contender].name;
            let pace = match step.pace {
                Pace::Closed => "closed".to_owned(),
                Pace::Open(rate) => rate.to_string(),
            };
            done.push(format!("{} {name} {} {pace}", visit.round, step.scenario));
            let (rate, p99_ms) = answer(name, step);
            lines.push(attempt(name, visit.round, step, rate, p99_ms));
        }
        done
    }

    fn next(plan: &Plan, lines: &[Line]) -> Option<(Visit, Step)> {
        let schedule = Schedule { plan, lines };
        let visit = schedule.next_visit()?;
        Some((visit, schedule.next_step(visit)?))
    }

    #[test]
    fn each_round_begins_with_another_contender() {
        let plan = plan(&["a", "b", "c"], &[Scenario::Info], &[]);
        let expected = [
            "1 a info closed",
            "1 b info closed",
            "1 c info closed",
            "2 b info closed",
            "2 c info closed",
            "2 a info closed",
        ];
        assert_eq!(done(&plan, |_, _| (1000, 1.0)), expected);
    }

    #[test]
    fn what_is_written_down_is_not_done_again() {
        let plan = plan(&["a", "b"], &[Scenario::Info, Scenario::Movies], &[]);
        let lines = [start("a", 1, &[]), attempt("a", 1, INFO, 1000, 1.0)];
        let (visit, step) = next(&plan, &lines).unwrap();
        assert_eq!((visit.round, visit.contender), (1, 0));
        assert_eq!(step.scenario, Scenario::Movies);
    }

    #[test]
    fn a_contender_that_fails_is_not_measured_in_that_round() {
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
        // The open loops have no use for it.
        let (visit, step) = next(&plan, &lines).unwrap();
        assert_eq!((visit.round, visit.contender, step), (3, 1, open(10.0)));
        lines.push(attempt("b", 3, open(10.0), 10, 1.0));
        assert_eq!(next(&plan, &lines), None);
    }

    #[test]
    fn a_start_that_went_well_after_one_that_did_not_counts() {
        let plan = plan(&["a"], &[Scenario::Info], &[]);
        let lines = [start("a", 1, &["info/value"]), start("a", 1, &[])];
        let (visit, _) = next(&plan, &lines).unwrap();
        assert_eq!((visit.round, visit.contender), (1, 0));
    }

    #[test]
    fn shares_are_of_the_slowest_and_the_same_for_everyone_but_the_limit() {
        let rates = [Rate::PercentOfSlowest(25.0), Rate::Fixed(7.0)];
        let plan = plan(&["limit", "a", "b"], &[Scenario::Info], &rates);
        let done = done(&plan, |name, step| match (name, step.pace) {
            ("limit", _) => (10, 1.0),
            ("a", Pace::Closed) => (1000, 1.0),
            _ => (4000, 1.0),
        });
        // The third round begins with the third contender.
        let expected = ["3 b info 250", "3 b info 7", "3 a info 250", "3 a info 7"];
        assert_eq!(done[6..], expected);
    }

    #[test]
    fn a_sweep_doubles_until_the_knee() {
        let plan = plan(&["a"], &[Scenario::Info], &[Rate::Sweep]);
        let cannot_keep_up = done(&plan, |_, step| match step.pace {
            Pace::Closed => (1000, 1.0),
            Pace::Open(rate) => ((rate as u64).min(900), 1.0),
        });
        let expected = ["3 a info 250", "3 a info 500", "3 a info 1000"];
        assert_eq!(cannot_keep_up[2..], expected);
        let slows_down = done(&plan, |_, step| match step.pace {
            Pace::Closed => (1000, 1.0),
            Pace::Open(rate) => (rate as u64, if rate > 400.0 { 21.0 } else { 1.0 }),
        });
        assert_eq!(slows_down[2..], ["3 a info 250", "3 a info 500"]);
    }

    #[test]
    fn a_rate_that_several_ask_for_is_measured_once() {
        let rates = [Rate::PercentOfSlowest(25.0), Rate::Sweep];
        let plan = plan(&["a"], &[Scenario::Info], &rates);
        let done = done(&plan, |_, _| (1000, 1.0));
        let expected = [
            "3 a info 250",
            "3 a info 500",
            "3 a info 1000",
            "3 a info 2000",
        ];
        assert_eq!(done[2..], expected);
    }

    #[test]
    fn what_is_left_takes_less_time_than_all() {
        let plan = plan(&["a", "b"], &[Scenario::Info], &[]);
        let estimate = |lines: &[Line]| Schedule { plan: &plan, lines }.estimate();
        // Four visits of 9 s with an attempt of 12.4 s each.
        assert_eq!(estimate(&[]), Duration::from_millis(4 * (9_000 + 12_400)));
        let lines = [attempt("a", 1, INFO, 1000, 1.0)];
        assert_eq!(
            estimate(&lines),
            Duration::from_millis(3 * (9_000 + 12_400))
        );
    }
}
