//! Progress of the runs, as a line on a terminal.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::time::Duration;

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use load::record::Point;
use load::results::{Log, folder_name};
use load::schedule::Schedule;

/// The line, hidden if standard error is no terminal, and the state of each run.
pub(super) struct Progress {
    pub(super) bar: ProgressBar,
    runs: RefCell<BTreeMap<Point, Work>>,
}

/// The state of a run.
#[derive(Clone, Copy, Debug)]
struct Work {
    attempts: usize,
    done: usize,
}

impl Work {
    fn of(schedule: &Schedule<'_>) -> Self {
        Self {
            attempts: schedule.planned(),
            done: schedule.done(),
        }
    }
}

impl Progress {
    pub(super) fn new(logs: &[Log]) -> Result<Self> {
        let bar = ProgressBar::new(0);
        if !std::io::stderr().is_terminal() {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        let style =
            ProgressStyle::with_template("{bar:20} {pos}/{len}  {msg}  {elapsed}, {eta} left");
        bar.set_style(style.context("the template of the progress bar")?);
        bar.enable_steady_tick(Duration::from_secs(1));
        let runs = logs
            .iter()
            .map(|log| (log.run().plan.point(), Work::of(&Schedule::new(log))));
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
        self.bar.set_message(match runs.len() {
            1 => what.to_owned(),
            _ => format!("{}: {what}", folder_name(schedule.plan)),
        });
    }
}
