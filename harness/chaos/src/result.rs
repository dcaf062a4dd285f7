//! The result of one fault: counts, recovery, a timeline, and the verdict that follows from the
//! contract.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::fault::{Allowed, Fault};
use crate::monitor::Usage;
use crate::steady_load::{Irregularities, Outcome, Record};

/// Most kinds of failures, and most reasons, that are kept of a fault.
const KINDS_MAX: usize = 20;

/// Length of a slice of the timeline.
const SLICE: Duration = Duration::from_millis(100);

/// One fault and its result.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct FaultResult {
    /// The fault's slug.
    pub fault: String,
    /// One sentence.
    pub description: String,
    pub verdict: Verdict,
    /// Why it failed, or is not applicable.
    pub reasons: Vec<String>,
    pub notes: Vec<String>,
    pub counts: Counts,
    /// Failures by kind, such as `users-me: 503 database unavailable`.
    pub failures: BTreeMap<String, u64>,
    /// From the injection to the end of the fault's cause.
    pub duration_ms: f64,
    /// Longest time without any response.
    pub silence_ms: f64,
    /// From the end of the cause to the first request from which on all responses were correct and
    /// prompt; none if that was not observed.
    pub recovery_ms: Option<f64>,
    /// Latencies of correct responses, from when the requests were due.
    pub p50_ms: f64,
    pub p99_ms: f64,
    /// Peaks of the contender's processes; none if they are not known.
    pub peak_usage: Option<Usage>,
    pub timeline: Timeline,
}

/// The verdict on a fault.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The contract was kept.
    Passed,
    /// It was not.
    Failed,
    /// The fault cannot be injected here.
    NotApplicable,
}

impl Verdict {
    /// Returns the word shown in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "FAILED",
            Self::NotApplicable => "not applicable",
        }
    }
}

/// Requests by outcome.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Counts {
    pub sent: u64,
    pub correct: u64,
    /// 502, 503 and 504 exactly as in the contract.
    pub contract_errors: u64,
    /// Other 5xx.
    pub other_errors: u64,
    pub wrong: u64,
    /// Connections that ended without a response.
    pub broken: u64,
    /// Connections that could not be opened.
    pub refused: u64,
    /// No response within the time limit.
    pub timed_out: u64,
    /// Sent once more, because a kept connection was closed before the response.
    pub retried: u64,
    /// Due, but not sent, because too many requests were in flight.
    pub unsent: u64,
}

/// Responses in slices of time, by when their requests were due.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Timeline {
    pub slice_ms: u64,
    /// Slice in which the cause ended.
    pub end: usize,
    pub correct: Vec<u32>,
    pub contract_errors: Vec<u32>,
    pub failed: Vec<u32>,
}

/// The time in which a fault was observed, and its limits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    pub(crate) begin: Instant,
    /// End of the fault's cause.
    pub(crate) end: Instant,
    /// End of the observation.
    pub(crate) until: Instant,
    /// Longest allowed time from `end` to full recovery.
    pub(crate) recovery: Duration,
    /// Longest latency of a prompt response.
    pub(crate) prompt: Duration,
}

impl FaultResult {
    /// Creates the result of a fault that cannot be injected.
    pub(crate) fn not_applicable(fault: &Fault, reason: &str) -> Self {
        Self {
            verdict: Verdict::NotApplicable,
            reasons: vec![reason.to_owned()],
            ..Self::empty(fault)
        }
    }

    /// Evaluates the records of a fault's window.
    pub(crate) fn new(
        fault: &Fault,
        window: Window,
        records: &[Record],
        irregularities: Irregularities,
    ) -> Self {
        let mut result = Self::empty(fault);
        result.counts.unsent = irregularities.unsent;
        result.duration_ms = millis(window.end - window.begin);
        result.timeline = window.timeline(records);
        let mut violations = BTreeMap::new();
        for record in records {
            result.counts.add(record);
            if let Some(kind) = failure_kind(record) {
                if !is_allowed(fault.allows, window, record) {
                    *violations.entry(kind.clone()).or_insert(0_u64) += 1;
                }
                add_kind(&mut result.failures, kind);
            }
        }
        let latencies = latencies(records);
        result.p50_ms = quantile(&latencies, 0.5);
        result.p99_ms = quantile(&latencies, 0.99);
        result.silence_ms = millis(window.silence(records));
        result.recovery_ms = window.recovery(records).map(millis);
        let violations = violations.into_iter().take(KINDS_MAX);
        result.reasons = violations
            .map(|(kind, count)| format!("{count} × {kind}"))
            .collect();
        if irregularities.unexpected_data > 0 {
            let count = irregularities.unexpected_data;
            result
                .reasons
                .push(format!("{count} × data on an idle connection"));
        }
        if result.counts.sent == 0 {
            result.reasons.push("no request was sent".to_owned());
        }
        match result.recovery_ms {
            Some(ms) if ms <= millis(window.recovery) => {}
            Some(ms) => result.reasons.push(format!(
                "recovered after {:.1} s, later than {:?}",
                ms / 1e3,
                window.recovery
            )),
            None => result.reasons.push(format!(
                "not recovered {:.0} s after the end of the cause",
                (window.until - window.end).as_secs_f64()
            )),
        }
        result.update_verdict();
        result
    }

    /// Adds a reason for failure.
    pub(crate) fn fail(&mut self, reason: String) {
        self.reasons.push(reason);
        self.update_verdict();
    }

    fn update_verdict(&mut self) {
        self.verdict = match self.reasons.is_empty() {
            true => Verdict::Passed,
            false => Verdict::Failed,
        };
    }

    fn empty(fault: &Fault) -> Self {
        Self {
            fault: fault.slug.clone(),
            description: fault.description.to_owned(),
            verdict: Verdict::Passed,
            reasons: Vec::new(),
            notes: Vec::new(),
            counts: Counts::default(),
            failures: BTreeMap::new(),
            duration_ms: 0.0,
            silence_ms: 0.0,
            recovery_ms: None,
            p50_ms: 0.0,
            p99_ms: 0.0,
            peak_usage: None,
            timeline: Timeline::default(),
        }
    }
}

impl Counts {
    fn add(&mut self, record: &Record) {
        self.sent += 1;
        self.retried += u64::from(record.retried);
        *match record.outcome {
            Outcome::Correct => &mut self.correct,
            Outcome::ContractError(_) => &mut self.contract_errors,
            Outcome::OtherError(_) => &mut self.other_errors,
            Outcome::Wrong(_) => &mut self.wrong,
            Outcome::Broken => &mut self.broken,
            Outcome::Refused => &mut self.refused,
            Outcome::TimedOut => &mut self.timed_out,
        } += 1;
    }
}

fn add_kind(kinds: &mut BTreeMap<String, u64>, kind: String) {
    let key = match kinds.len() < KINDS_MAX || kinds.contains_key(&kind) {
        true => kind,
        false => "others".to_owned(),
    };
    *kinds.entry(key).or_insert(0) += 1;
}

fn failure_kind(record: &Record) -> Option<String> {
    let failure = match &record.outcome {
        Outcome::Correct => return None,
        Outcome::ContractError(code) => format!("{} {}", code.status(), code.phrase()),
        Outcome::OtherError(status) => format!("{status}, not the contract's"),
        Outcome::Wrong(reason) => format!("wrong: {reason}"),
        Outcome::Refused => "connection refused".to_owned(),
        Outcome::Broken => "connection ended without a response".to_owned(),
        Outcome::TimedOut => "no response in time".to_owned(),
    };
    Some(format!("{}: {failure}", record.operation))
}

/// Failures are allowed only for requests that were due before the recovery time was over.
fn is_allowed(allows: Allowed, window: Window, record: &Record) -> bool {
    let is_late = record.due > window.end + window.recovery;
    match record.outcome {
        Outcome::Correct => true,
        _ if is_late => false,
        Outcome::ContractError(code) => allows.error(record.operation, code),
        Outcome::Refused => allows.refused,
        Outcome::Broken => allows.broken,
        Outcome::OtherError(_) | Outcome::Wrong(_) | Outcome::TimedOut => false,
    }
}

impl Window {
    /// Returns the time from the end of the cause to the last failed or slow request; none if no
    /// later request proves the recovery.
    fn recovery(&self, records: &[Record]) -> Option<Duration> {
        let bad = records
            .iter()
            .filter(|record| record.due >= self.end && !record.is_prompt(self.prompt));
        let Some(last) = bad.map(|record| record.due).max() else {
            return Some(Duration::ZERO);
        };
        let is_proven = records.iter().any(|record| record.due > last);
        is_proven.then(|| last - self.end)
    }

    fn silence(&self, records: &[Record]) -> Duration {
        let is_response = |outcome: &Outcome| {
            !matches!(
                outcome,
                Outcome::Refused | Outcome::Broken | Outcome::TimedOut
            )
        };
        let mut times: Vec<_> = records
            .iter()
            .filter(|record| is_response(&record.outcome) && record.ended < self.until)
            .map(|record| record.ended)
            .chain([self.begin, self.until])
            .collect();
        times.sort();
        let gaps = times.windows(2).map(|pair| pair[1] - pair[0]);
        gaps.max().unwrap_or_default()
    }

    fn timeline(&self, records: &[Record]) -> Timeline {
        let slice = |at: Instant| {
            let time = at.saturating_duration_since(self.begin);
            usize::try_from(time.as_millis() / SLICE.as_millis()).unwrap_or(usize::MAX)
        };
        let slices = slice(self.until) + 1;
        let mut timeline = Timeline {
            slice_ms: u64::try_from(SLICE.as_millis()).unwrap_or(u64::MAX),
            end: slice(self.end),
            correct: vec![0; slices],
            contract_errors: vec![0; slices],
            failed: vec![0; slices],
        };
        for record in records {
            let series = match record.outcome {
                Outcome::Correct => &mut timeline.correct,
                Outcome::ContractError(_) => &mut timeline.contract_errors,
                _ => &mut timeline.failed,
            };
            if let Some(count) = series.get_mut(slice(record.due)) {
                *count += 1;
            }
        }
        timeline
    }
}

/// Returns the sorted latencies of correct responses in milliseconds, from when they were due.
pub(crate) fn latencies(records: &[Record]) -> Vec<f64> {
    let mut latencies: Vec<_> = records
        .iter()
        .filter(|record| record.outcome == Outcome::Correct)
        .map(|record| millis(record.ended.saturating_duration_since(record.due)))
        .collect();
    latencies.sort_by(f64::total_cmp);
    latencies
}

/// Returns the nearest-rank quantile of sorted values; 0 if there are none.
pub(crate) fn quantile(sorted: &[f64], share: f64) -> f64 {
    let index = (sorted.len() as f64 * share).ceil() as usize;
    sorted.get(index.saturating_sub(1)).copied().unwrap_or(0.0)
}

/// Converts to milliseconds, rounded to a tenth.
fn millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e4).round() / 10.0
}

#[cfg(test)]
mod tests {
    use load::scenario::Scenario;
    use schema::ErrorCode;

    use super::*;
    use crate::fault::named;
    use crate::operation::Operation;

    const MS: Duration = Duration::from_millis(1);

    /// (due, latency, scenario, outcome); times in milliseconds from the begin.
    type Event = (u32, u32, Scenario, Outcome);

    /// Evaluates a fault of one second, observed for three, with a correct response each 100 ms.
    fn result(slug: &str, events: &[Event]) -> FaultResult {
        let begin = Instant::now();
        let window = Window {
            begin,
            end: begin + 1000 * MS,
            until: begin + 3000 * MS,
            recovery: 500 * MS,
            prompt: 100 * MS,
        };
        let correct = (0..30).map(|index| (index * 100, 1, Scenario::Info, Outcome::Correct));
        let records: Vec<_> = correct
            .chain(events.iter().cloned())
            .map(|(due, latency, scenario, outcome)| Record {
                operation: Operation::Scenario(scenario),
                due: begin + due * MS,
                ended: begin + (due + latency) * MS,
                outcome,
                retried: false,
            })
            .collect();
        FaultResult::new(
            &named(slug).unwrap(),
            window,
            &records,
            Irregularities::default(),
        )
    }

    fn unavailable(due: u32) -> Event {
        let error = Outcome::ContractError(ErrorCode::DatabaseUnavailable);
        (due, 10, Scenario::UsersMe, error)
    }

    #[test]
    fn correct_responses_pass_with_immediate_recovery() {
        let result = result("none", &[]);
        assert_eq!(
            (result.verdict, result.recovery_ms),
            (Verdict::Passed, Some(0.0))
        );
        assert_eq!((result.counts.sent, result.counts.correct), (30, 30));
        assert!((99.0..=101.0).contains(&result.silence_ms));
        assert_eq!(result.timeline.end, 10);
        assert_eq!(result.timeline.correct[..30], [1; 30]);
    }

    #[test]
    fn contract_errors_pass_only_for_the_dependent_scenario_and_until_recovery() {
        let errors = [unavailable(0), unavailable(900), unavailable(1400)];
        let in_time = result("postgres/stopped", &errors);
        assert_eq!(in_time.verdict, Verdict::Passed, "{:?}", in_time.reasons);
        assert_eq!(in_time.recovery_ms, Some(400.0));
        let late = result("postgres/stopped", &[unavailable(1600)]);
        assert_eq!(late.verdict, Verdict::Failed);
        let other = result("upstream/hang", &errors);
        assert_eq!(other.reasons[0], "3 × users-me: 503 database unavailable");
    }

    #[test]
    fn failures_outside_the_contract_never_pass() {
        for outcome in [
            Outcome::Wrong("body: id".to_owned()),
            Outcome::OtherError(500),
            Outcome::TimedOut,
            Outcome::Broken,
            Outcome::Refused,
        ] {
            let result = result("postgres/stopped", &[(500, 1, Scenario::UsersMe, outcome)]);
            assert_eq!(result.verdict, Verdict::Failed, "{result:?}");
        }
    }

    #[test]
    fn connections_may_break_only_when_the_contender_is_killed() {
        let broken = [(500, 1, Scenario::Movies, Outcome::Broken)];
        let refused = [(500, 1, Scenario::Movies, Outcome::Refused)];
        for (fault, events, verdict) in [
            ("process/killed", &broken, Verdict::Passed),
            ("process/terminated", &broken, Verdict::Failed),
            ("process/terminated", &refused, Verdict::Passed),
            ("process/rolling", &refused, Verdict::Failed),
        ] {
            assert_eq!(result(fault, events).verdict, verdict, "{fault}");
        }
    }

    #[test]
    fn slow_responses_delay_the_recovery() {
        let slow = result("none", &[(1700, 200, Scenario::Info, Outcome::Correct)]);
        assert_eq!(slow.recovery_ms, Some(700.0));
        assert_eq!(slow.verdict, Verdict::Failed);
        let unproven = result("postgres/stopped", &[unavailable(2950)]);
        assert_eq!(
            (unproven.recovery_ms, unproven.verdict),
            (None, Verdict::Failed)
        );
    }

    #[test]
    fn quantile_is_the_nearest_rank() {
        assert_eq!(quantile(&[], 0.5), 0.0);
        assert_eq!(quantile(&[1.0, 2.0, 3.0, 4.0], 0.5), 2.0);
        assert_eq!(quantile(&[1.0, 2.0, 3.0, 4.0], 0.99), 4.0);
    }
}
