//! Progress: how far each run is, as a line of a terminal.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::time::Duration;

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::schedule;
use load::log::Log;
use load::record::Point;
use load::report::scale;
use load::schedule::Schedule;

/// A line of progress on a terminal, none elsewhere, and how far each run is.
pub(super) struct Board {
    pub(super) bar: ProgressBar,
    runs: RefCell<BTreeMap<Point, Work>>,
}

/// How far a run is.
#[derive(Clone, Copy, Debug)]
struct Work {
    attempts: usize,
    done: usize,
    left: Duration,
}

impl Work {
    fn of(schedule: &Schedule<'_>) -> Self {
        Self {
            attempts: schedule.closed_attempts() + schedule.open_attempts(),
            done: schedule.done(),
            left: schedule.estimate(),
        }
    }
}

impl Board {
    pub(super) fn of(logs: &[Log]) -> Result<Self> {
        let bar = ProgressBar::new(0);
        if !std::io::stderr().is_terminal() {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        let style =
            ProgressStyle::with_template("{bar:20} {pos}/{len}  {msg}  {elapsed}, {prefix} left");
        bar.set_style(style.context("the form of the progress")?);
        bar.enable_steady_tick(Duration::from_secs(1));
        let runs = logs
            .iter()
            .map(|log| (log.run().plan.point(), Work::of(&schedule(log))));
        Ok(Self {
            bar,
            runs: RefCell::new(runs.collect()),
        })
    }

    pub(super) fn show(&self, schedule: &Schedule<'_>, what: &str) {
        let mut runs = self.runs.borrow_mut();
        runs.insert(schedule.plan.point(), Work::of(schedule));
        let sum = |of: fn(&Work) -> usize| runs.values().map(of).sum::<usize>() as u64;
        self.bar.set_length(sum(|work| work.attempts));
        self.bar.set_position(sum(|work| work.done));
        let left = runs.values().map(|work| work.left).sum();
        self.bar.set_prefix(rounded(left));
        self.bar.set_message(match runs.len() {
            1 => what.to_owned(),
            _ => format!("{}: {what}", scale::name(schedule.plan)),
        });
    }
}

/// To the second below ten minutes, to the minute above.
pub(super) fn rounded(time: Duration) -> String {
    let unit = if time < Duration::from_secs(600) {
        1
    } else {
        60
    };
    humantime::format_duration(Duration::from_secs(time.as_secs() / unit * unit)).to_string()
}
