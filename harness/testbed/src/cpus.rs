//! Sets of CPUs, and running on them.

use std::fmt;
use std::str::FromStr;

use anyhow::{Context, Error, Result, bail, ensure};
use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// A set of CPUs: their numbers in rising order.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Cpus(Vec<usize>);

impl Cpus {
    /// Returns the CPUs that this thread may run on.
    ///
    /// # Errors
    /// The system refuses to say.
    pub fn available() -> Result<Self> {
        Self::of(None)
    }

    /// Returns the CPUs that a process may run on; those of this thread if none is named.
    ///
    /// # Errors
    /// There is no such process.
    pub fn of(process: Option<Pid>) -> Result<Self> {
        let set = sched_getaffinity(process).context("reading the CPU affinity")?;
        let all = 0..CpuSet::MAX_CPU;
        Ok(Self(all.filter(|cpu| set.is_set(*cpu)).collect()))
    }

    /// Returns their numbers.
    pub fn numbers(&self) -> &[usize] {
        &self.0
    }

    /// Returns those that are not in `others`.
    pub fn without(&self, others: &Self) -> Self {
        let is_left = |cpu: &&usize| !others.0.contains(cpu);
        Self(self.0.iter().filter(is_left).copied().collect())
    }

    /// Splits off the first; both parts are the same if there is only one.
    pub fn split(&self) -> (Self, Self) {
        let others = if self.0.len() > 1 {
            &self.0[1..]
        } else {
            &self.0
        };
        (
            Self(self.0.iter().take(1).copied().collect()),
            Self(others.to_vec()),
        )
    }

    /// Pins this thread, and the processes and threads that it starts, to these.
    ///
    /// # Errors
    /// This machine does not have them.
    pub fn pin(&self) -> Result<()> {
        let mut set = CpuSet::new();
        self.0.iter().for_each(|cpu| set.set(*cpu));
        sched_setaffinity(None, &set).or_else(|error| {
            let available = Self::available()?;
            bail!("CPUs {self}: {error}; this process may use {available}")
        })
    }

    /// Runs `work` on these, then restores the affinity of this thread.
    ///
    /// # Errors
    /// The same as of [`Cpus::pin`], or the error of `work`.
    pub fn with<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let before = Self::available()?;
        self.pin()?;
        let worked = work();
        before.pin()?;
        worked
    }
}

/// Parses the form of `taskset` and Docker: `0`, `2,3`, `0-3,8`.
impl FromStr for Cpus {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let number = |text: &str| -> Result<usize> {
            let number = text
                .parse()
                .with_context(|| format!("{text:?} is no CPU"))?;
            ensure!(number < CpuSet::MAX_CPU, "there is no CPU {number}");
            Ok(number)
        };
        let mut cpus = Vec::new();
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (number(first)?, number(last)?);
            ensure!(first <= last, "{part} is no range of CPUs");
            cpus.extend(first..=last);
        }
        cpus.sort_unstable();
        cpus.dedup();
        Ok(Self(cpus))
    }
}

impl fmt::Display for Cpus {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers: Vec<_> = self.0.iter().map(ToString::to_string).collect();
        formatter.write_str(&numbers.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_ranges_are_read() {
        let cpus: Cpus = "8,0-2,1".parse().unwrap();
        assert_eq!(cpus.numbers(), [0, 1, 2, 8]);
        assert_eq!(cpus.to_string(), "0,1,2,8");
        for wrong in ["", "a", "2-1", "-1", "1,,2", "99999999"] {
            assert!(wrong.parse::<Cpus>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn one_is_the_contender_s_and_the_others_are_the_others() {
        let split = |text: &str| {
            let (first, others) = text.parse::<Cpus>().unwrap().split();
            (first.to_string(), others.to_string())
        };
        assert_eq!(split("0-2"), ("0".to_owned(), "1,2".to_owned()));
        assert_eq!(split("3"), ("3".to_owned(), "3".to_owned()));
    }

    #[test]
    fn a_thread_is_where_it_was_after_its_work() {
        let before = Cpus::available().unwrap();
        let (first, _) = before.split();
        let during = first.with(Cpus::available).unwrap();
        assert_eq!(during, first);
        assert_eq!(Cpus::available().unwrap(), before);
    }
}
