//! What came of a fault: counts, times, and the verdict that follows from the contract.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use super::census::Held;
use super::fault::{Allows, Fault};
use super::load::Record;
use super::question::Outcome;
use super::window::{Timeline, Window, latencies, millis, quantile};

/// Reasons and kinds of failures that are kept of a fault.
const KINDS_MAX: usize = 20;

/// One fault and what came of it.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Row {
    /// Its name.
    pub fault: String,
    /// What was done.
    pub what: String,
    pub verdict: Verdict,
    /// Why it breaks, or is not applicable.
    pub reasons: Vec<String>,
    /// What else is to be said.
    pub notes: Vec<String>,
    pub counts: Counts,
    /// Other answers than right ones, and how often each came.
    pub kinds: BTreeMap<String, u64>,
    /// Time from the fault's begin to its cause's end.
    pub lasted_ms: f64,
    /// Longest time in which nothing was answered.
    pub silence_ms: f64,
    /// From the cause's end to the first request from which on all were answered rightly and
    /// promptly; none if that was not seen.
    pub recovery_ms: Option<f64>,
    /// Latencies of right answers, from when they were due.
    pub p50_ms: f64,
    pub p99_ms: f64,
    /// Most that the contender's processes held; none if they are not known.
    pub held: Option<Held>,
    pub timeline: Timeline,
}

/// What the verdict is.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The contract is kept.
    Holds,
    /// It is not.
    Breaks,
    /// The fault cannot be brought about here.
    NotApplicable,
}

impl Verdict {
    /// As it is read.
    pub fn name(self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::Breaks => "BREAKS",
            Self::NotApplicable => "not applicable",
        }
    }
}

/// Requests by what became of them.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Counts {
    pub sent: u64,
    pub right: u64,
    /// 502, 503 and 504, whole as the contract has them.
    pub contract_errors: u64,
    /// Other 5xx.
    pub other_errors: u64,
    pub wrong: u64,
    /// Connections that ended without the answer.
    pub broken: u64,
    /// Connections that were not made: nothing was sent.
    pub refused: u64,
    /// No answer in time.
    pub silent: u64,
    /// Sent once more, because a kept connection was closed before the answer.
    pub sent_again: u64,
    /// Due, but not sent: too many waited.
    pub unsent: u64,
}

impl Row {
    /// Of a fault that cannot be brought about.
    pub(super) fn not_applicable(fault: &Fault, why: &str) -> Self {
        Self {
            verdict: Verdict::NotApplicable,
            reasons: vec![why.to_owned()],
            ..Self::empty(fault)
        }
    }

    /// Of what was recorded in its time.
    pub(super) fn of(fault: &Fault, window: Window, records: &[Record], unsent: u64) -> Self {
        let mut row = Self::empty(fault);
        row.counts.unsent = unsent;
        row.lasted_ms = millis(window.end - window.begin);
        row.timeline = window.timeline(records);
        let mut not_allowed = BTreeMap::new();
        for record in records {
            row.count(record);
            if let Some(kind) = kind(record) {
                if !is_allowed(fault.allows, window, record) {
                    *not_allowed.entry(kind.clone()).or_insert(0) += 1;
                }
                count(&mut row.kinds, kind);
            }
        }
        let latencies = latencies(records);
        (row.p50_ms, row.p99_ms) = (quantile(&latencies, 0.5), quantile(&latencies, 0.99));
        row.silence_ms = millis(window.silence(records));
        row.recovery_ms = window.recovery(records).map(millis);
        let reasons = not_allowed.into_iter().take(KINDS_MAX);
        row.reasons = reasons
            .map(|(kind, count): (String, u64)| format!("{count} × {kind}"))
            .collect();
        if row.counts.sent == 0 {
            row.reasons.push("nothing was sent".to_owned());
        }
        match row.recovery_ms {
            Some(ms) if ms <= millis(window.recovery) => {}
            Some(ms) => row.reasons.push(format!(
                "all is right again after {:.1} s, not within {:?}",
                ms / 1e3,
                window.recovery
            )),
            None => row.reasons.push(format!(
                "not all is right again {:.0} s after the cause's end",
                (window.until - window.end).as_secs_f64()
            )),
        }
        row.judge();
        row
    }

    /// One more reason why it breaks.
    pub(super) fn breaks_because(&mut self, reason: String) {
        self.reasons.push(reason);
        self.judge();
    }

    fn judge(&mut self) {
        self.verdict = match self.reasons.is_empty() {
            true => Verdict::Holds,
            false => Verdict::Breaks,
        };
    }

    fn empty(fault: &Fault) -> Self {
        Self {
            fault: fault.slug.clone(),
            what: fault.what.to_owned(),
            verdict: Verdict::Holds,
            reasons: Vec::new(),
            notes: Vec::new(),
            counts: Counts::default(),
            kinds: BTreeMap::new(),
            lasted_ms: 0.0,
            silence_ms: 0.0,
            recovery_ms: None,
            p50_ms: 0.0,
            p99_ms: 0.0,
            held: None,
            timeline: Timeline::default(),
        }
    }

    fn count(&mut self, record: &Record) {
        let counts = &mut self.counts;
        counts.sent += 1;
        counts.sent_again += u64::from(record.again);
        *match record.outcome {
            Outcome::Right => &mut counts.right,
            Outcome::Error(_) => &mut counts.contract_errors,
            Outcome::Unformed(_) => &mut counts.other_errors,
            Outcome::Wrong(_) => &mut counts.wrong,
            Outcome::Broken => &mut counts.broken,
            Outcome::Refused => &mut counts.refused,
            Outcome::Silent => &mut counts.silent,
        } += 1;
    }
}

/// One more of a kind; when there are many kinds, of those that are not told apart.
fn count(kinds: &mut BTreeMap<String, u64>, kind: String) {
    if kinds.len() < KINDS_MAX || kinds.contains_key(&kind) {
        *kinds.entry(kind).or_insert(0) += 1;
    } else {
        *kinds.entry("others".to_owned()).or_insert(0) += 1;
    }
}

/// What became of a request, in words, unless it was right.
fn kind(record: &Record) -> Option<String> {
    let what = match &record.outcome {
        Outcome::Right => return None,
        Outcome::Error(code) => format!("{} {}", code.status(), code.phrase()),
        Outcome::Unformed(status) => format!("{status}, not the contract's"),
        Outcome::Wrong(what) => format!("wrong: {what}"),
        Outcome::Refused => "no connection".to_owned(),
        Outcome::Broken => "connection ended without the answer".to_owned(),
        Outcome::Silent => "no answer".to_owned(),
    };
    Some(format!("{}: {what}", record.route))
}

/// Whether the contract allows it: only for what was due before all must be right again.
fn is_allowed(allows: Allows, window: Window, record: &Record) -> bool {
    let is_late = record.due > window.end + window.recovery;
    match record.outcome {
        Outcome::Right => true,
        _ if is_late => false,
        Outcome::Error(code) => allows.error(record.route, code),
        Outcome::Refused => allows.refused,
        Outcome::Broken => allows.broken,
        Outcome::Unformed(_) | Outcome::Wrong(_) | Outcome::Silent => false,
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use schema::ErrorCode;

    use super::super::fault::all;
    use super::super::route::Route;
    use super::*;
    use load::scenario::Scenario;

    const MS: Duration = Duration::from_millis(1);

    /// A fault of a second, watched for three.
    fn row(slug: &str, records: &[(u32, u32, Scenario, Outcome)]) -> Row {
        let begin = Instant::now();
        let window = Window {
            begin,
            end: begin + 1000 * MS,
            until: begin + 3000 * MS,
            recovery: 500 * MS,
            prompt: 100 * MS,
        };
        let quiet = (0..30).map(|index| (index * 100, 1, Scenario::Info, Outcome::Right));
        let records: Vec<_> = quiet
            .chain(records.iter().cloned())
            .map(|(due, took, scenario, outcome)| Record {
                route: Route::Scenario(scenario),
                due: begin + due * MS,
                ended: begin + (due + took) * MS,
                outcome,
                again: false,
            })
            .collect();
        let fault = all().into_iter().find(|fault| fault.slug == slug).unwrap();
        Row::of(&fault, window, &records, 0)
    }

    fn unavailable(due: u32) -> (u32, u32, Scenario, Outcome) {
        let error = Outcome::Error(ErrorCode::DatabaseUnavailable);
        (due, 10, Scenario::UsersMe, error)
    }

    #[test]
    fn right_answers_hold_and_their_recovery_is_at_once() {
        let row = row("none", &[]);
        assert_eq!((row.verdict, row.recovery_ms), (Verdict::Holds, Some(0.0)));
        assert_eq!((row.counts.sent, row.counts.right), (30, 30));
        assert!(
            (99.0..=101.0).contains(&row.silence_ms),
            "{}",
            row.silence_ms
        );
        assert_eq!(row.timeline.end, 10);
        assert_eq!(row.timeline.right[..30], [1; 30]);
    }

    #[test]
    fn an_error_of_the_contract_holds_while_its_cause_lasts_and_shortly_after() {
        let errors = [unavailable(0), unavailable(900), unavailable(1400)];
        let held = row("postgres/stopped", &errors);
        assert_eq!(held.verdict, Verdict::Holds, "{:?}", held.reasons);
        assert_eq!(held.recovery_ms, Some(400.0));
        let late = row("postgres/stopped", &[unavailable(1600)]);
        assert_eq!(late.verdict, Verdict::Breaks);
        let other = row("upstream/hang", &errors);
        assert_eq!(other.reasons[0], "3 × users-me: 503 database unavailable");
    }

    #[test]
    fn what_no_fault_excuses_breaks() {
        for outcome in [
            Outcome::Wrong("body: id".to_owned()),
            Outcome::Unformed(500),
            Outcome::Silent,
            Outcome::Broken,
            Outcome::Refused,
        ] {
            let row = row("postgres/stopped", &[(500, 1, Scenario::UsersMe, outcome)]);
            assert_eq!(row.verdict, Verdict::Breaks, "{row:?}");
        }
    }

    #[test]
    fn a_killed_contender_may_break_connections_and_a_terminated_one_may_not() {
        let broken = [(500, 1, Scenario::Movies, Outcome::Broken)];
        let refused = [(500, 1, Scenario::Movies, Outcome::Refused)];
        assert_eq!(row("process/killed", &broken).verdict, Verdict::Holds);
        assert_eq!(row("process/terminated", &broken).verdict, Verdict::Breaks);
        assert_eq!(row("process/terminated", &refused).verdict, Verdict::Holds);
        assert_eq!(row("process/rolling", &refused).verdict, Verdict::Breaks);
    }

    #[test]
    fn who_stays_slow_or_broken_has_not_recovered() {
        let slow = row("none", &[(1700, 200, Scenario::Info, Outcome::Right)]);
        assert_eq!(slow.recovery_ms, Some(700.0));
        assert_eq!(slow.verdict, Verdict::Breaks);
        let ended = row("postgres/stopped", &[unavailable(2950)]);
        assert_eq!((ended.recovery_ms, ended.verdict), (None, Verdict::Breaks));
    }
}
