//! The values of options, parsed for clap.

use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, Error, Result, ensure};
use load::record::Rate;
use rustix::process::Pid;
use testbed::cpus::Cpus;

/// CPUs of the contender and of everything else.
#[derive(Clone, Debug)]
pub(super) struct Split {
    pub(super) contender: Cpus,
    pub(super) others: Cpus,
}

impl FromStr for Split {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parts = text.split_once('/');
        let (contender, others) =
            parts.with_context(|| format!("{text:?} has no slash: write 0/1 for one CPU each"))?;
        Ok(Self {
            contender: contender.parse()?,
            others: others.parse()?,
        })
    }
}

/// Parses a duration that is not zero.
pub(super) fn duration(text: &str) -> Result<Duration> {
    let duration = humantime::parse_duration(text)?;
    ensure!(
        !duration.is_zero(),
        "the duration must be greater than zero"
    );
    Ok(duration)
}

pub(super) fn positive(text: &str) -> Result<usize> {
    let number = text.parse()?;
    ensure!(number > 0, "must be at least 1");
    Ok(number)
}

pub(super) fn pid(text: &str) -> Result<Pid> {
    let pid = Pid::from_raw(text.parse()?);
    pid.context("a process id is greater than zero")
}

/// Parses a percentage as a fraction.
pub(super) fn share(text: &str) -> Result<f64> {
    let percent = text.strip_suffix('%').and_then(|text| text.parse().ok());
    let percent: f64 = percent.with_context(|| format!("{text:?} is no share: write 10%"))?;
    ensure!((0.0..=100.0).contains(&percent), "a share is at most 100%");
    Ok(percent / 100.0)
}

pub(super) fn rate(text: &str) -> Result<Rate> {
    let number = |text: &str| -> Result<f64> {
        let number: f64 = text
            .parse()
            .with_context(|| format!("{text:?} is no rate: write 5000, 50% or sweep"))?;
        ensure!(
            number.is_finite() && number > 0.0,
            "a rate must be greater than zero"
        );
        Ok(number)
    };
    Ok(match text.strip_suffix('%') {
        _ if text == "sweep" => Rate::Sweep,
        Some(percent) => Rate::PercentOfSlowest(number(percent)?),
        None => Rate::Fixed(number(text)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rate_is_a_number_a_percentage_or_a_sweep() {
        assert_eq!(rate("5000").unwrap(), Rate::Fixed(5000.0));
        assert_eq!(rate("25%").unwrap(), Rate::PercentOfSlowest(25.0));
        assert_eq!(rate("sweep").unwrap(), Rate::Sweep);
        for wrong in ["", "0", "-1", "inf", "%", "fast"] {
            assert!(rate(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn cpus_are_split_at_the_slash() {
        let split: Split = "0-1/2,3".parse().unwrap();
        assert_eq!(split.contender.numbers(), [0, 1]);
        assert_eq!(split.others.numbers(), [2, 3]);
        assert!("0".parse::<Split>().is_err());
    }

    #[test]
    fn duration_is_not_zero() {
        assert_eq!(duration("2s").unwrap(), Duration::from_secs(2));
        assert!(duration("0s").is_err());
    }
}
