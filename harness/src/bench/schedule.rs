//! What is to be done next. It follows from the plan and from what is written down already, so a run
//! that is taken up again goes on as if it had never stopped.

use std::time::Duration;

use super::record::{Attempt, Line, Pace, Plan, Rate, Verdict};
use super::scenario::Scenario;
use super::statistics::median;

/// A sweep begins with this share of the slowest contender's rate.
const SWEEP_FROM: f64 = 0.25;

/// A sweep ends here at the latest: at some thousand times where it began.
const SWEEP_STEPS: i32 = 12;

/// A contender is beyond its knee when it answers less than this share of what it is asked …
const KEEPS_UP: f64 = 0.99;

/// … or when its 99th percentile is this many times that of the sweep's first rate.
const KNEE_P99: f64 = 20.0;

/// What a start costs beside the load: Postgres, the contender, the check.
const VISIT: Duration = Duration::from_secs(9);

/// What an attempt costs beside the load: connections, and a breath.
const BREATH: Duration = Duration::from_millis(400);

/// A plan, and what was done of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Schedule<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) lines: &'a [Line],
}

/// One start of one contender.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Visit {
    /// From 1; open loops have a round of their own after the last.
    pub(crate) round: u32,
    /// Its place in the plan.
    pub(crate) contender: usize,
}

/// One load of a visit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Step {
    pub(crate) scenario: Scenario,
    pub(crate) pace: Pace,
}

impl Schedule<'_> {
    /// The next contender to start, and the round that it is started for; none if all is done.
    pub(crate) fn next_visit(&self) -> Option<Visit> {
        self.visits().find(|visit| self.next_step(*visit).is_some())
    }

    /// The next load of a visit; none if all of it is done, or nothing more is to be had.
    pub(crate) fn next_step(&self, visit: Visit) -> Option<Step> {
        if self.is_abandoned(visit) {
            return None;
        }
        if visit.round <= self.plan.rounds {
            let closed = self.plan.scenarios.iter().map(|scenario| Step {
                scenario: *scenario,
                pace: Pace::Closed,
            });
            return closed.into_iter().find(|step| !self.is_done(visit, *step));
        }
        let open = |scenario: &Scenario| {
            let rates = self.rates(visit, *scenario).into_iter();
            rates.map(|rate| Step {
                scenario: *scenario,
                pace: Pace::Open(rate),
            })
        };
        let mut steps = self.plan.scenarios.iter().flat_map(open);
        steps.find(|step| !self.is_done(visit, *step))
    }

    /// Attempts of the closed loops, in all.
    pub(crate) fn closed_attempts(&self) -> usize {
        self.plan.contenders.len() * self.plan.scenarios.len() * self.plan.rounds as usize
    }

    /// Attempts that were made.
    pub(crate) fn done(&self) -> usize {
        self.attempts().count()
    }

    /// Loads of open loops that are asked for, as far as it is known before they run.
    pub(crate) fn open_attempts(&self) -> usize {
        let rates = self.plan.rates.iter().map(|rate| match rate {
            Rate::Fixed(_) | Rate::PercentOfSlowest(_) => 1,
            // Doubled from a quarter: a typical field lies within a factor of eight.
            Rate::Sweep => 5,
        });
        let contenders = self.plan.contenders.iter().filter(|planned| !planned.is_limit);
        contenders.count() * self.plan.scenarios.len() * rates.sum::<usize>()
    }

    /// About how long all that is left will take.
    pub(crate) fn estimate(&self) -> Duration {
        let attempts = (self.closed_attempts() + self.open_attempts()).saturating_sub(self.done());
        let load = self.plan.warmup_secs + self.plan.duration_secs;
        let attempt = Duration::from_secs_f64(load) + BREATH;
        let left = |visit: &Visit| self.next_step(*visit).is_some();
        let mut visits = self.visits().filter(left).count();
        if !self.plan.rates.is_empty() && self.done() < self.closed_attempts() {
            visits += self.plan.contenders.len();
        }
        VISIT * u32::try_from(visits).unwrap_or(u32::MAX)
            + attempt * u32::try_from(attempts).unwrap_or(u32::MAX)
    }

    /// All starts, in their order: each round begins with another contender, so that whatever drifts
    /// hits everyone alike.
    fn visits(&self) -> impl Iterator<Item = Visit> {
        let contenders = self.plan.contenders.len();
        let open = u32::from(!self.plan.rates.is_empty());
        (1..=self.plan.rounds + open).flat_map(move |round| {
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

    fn is_done(&self, visit: Visit, step: Step) -> bool {
        self.attempts().any(|attempt| {
            attempt.contender == self.name(visit)
                && attempt.round == visit.round
                && attempt.scenario == step.scenario
                && attempt.pace == step.pace
        })
    }

    /// Whether the contender failed its check or could not be started in this round; in the round of
    /// the open loops, in any.
    fn is_abandoned(&self, visit: Visit) -> bool {
        let name = self.name(visit);
        let is_open = visit.round > self.plan.rounds;
        let concerns = |round: u32| round == visit.round || is_open;
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
        abandoned || (is_open && self.plan.contenders[visit.contender].is_limit)
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
                || measured.requests_per_sec() < rate * KEEPS_UP
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
                        && attempt.verdict != Verdict::Errors
                        && (!is_server_bound || attempt.verdict == Verdict::ServerBound)
                })
                .map(|attempt| attempt.measured.requests_per_sec())
                .collect();
            median(&rates)
        };
        let slowest = |is_server_bound: bool| {
            let contenders = self.plan.contenders.iter().filter(|planned| !planned.is_limit);
            contenders
                .filter_map(|planned| rate(&planned.name, is_server_bound))
                .min_by(f64::total_cmp)
        };
        slowest(true).or_else(|| slowest(false))
    }
}
