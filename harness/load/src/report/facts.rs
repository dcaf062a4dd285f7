//! What every form of the report says beside the figures.

use std::collections::BTreeMap;

use super::super::record::{Attempt, Pace, Plan, Rate, Run};
use super::super::results::Results;
use super::super::standings::Standings;
use super::super::statistics::Estimate;
use super::axis::Axis;
use super::figure::{self, each, listed, percent};
use super::{METHOD, METHOD_OF_AN_IMPORT};
use testbed::terminal::quoted;

/// Cells with much spread that a warning names, the widest first.
const WIDE_NAMED: usize = 4;

/// Who was measured.
pub(super) fn title(results: &Results) -> String {
    let contenders = results.run.plan.contenders.iter();
    let contenders = contenders.filter(|contender| !contender.is_ceiling);
    let names: Vec<_> = contenders
        .map(|contender| contender.name.as_str())
        .collect();
    match names.as_slice() {
        [] => "No contender".to_owned(),
        [..] if names.len() > 4 => format!("{} contenders", names.len()),
        [..] => listed(&names),
    }
}

/// How it was measured and what the figures mean.
pub(super) fn method(run: &Run) -> &'static [&'static str] {
    match run.imported {
        Some(_) => &METHOD_OF_AN_IMPORT,
        None => &METHOD,
    }
}

/// Who costs least, in a sentence.
pub(super) fn headline(results: &Results, standings: &Standings<'_>) -> String {
    if results.closed().next().is_none() && !results.attempts.is_empty() {
        return "Only open loops were measured: nothing is ranked.".to_owned();
    }
    if Axis::of(standings) == Axis::Rate {
        let measured = standings.cells().filter(|cell| cell.bottleneck.is_some());
        let bound = standings.cells().filter(|cell| cell.is_server_bound());
        return format!(
            "What a request costs is not known. Requests per second are the contender's own in {} of {} cells: where it was server-bound.",
            bound.count(),
            measured.count()
        );
    }
    let mut groups: Vec<(Vec<&str>, Vec<&str>)> = Vec::new();
    for standing in &standings.scenarios {
        let leaders = standing.leaders();
        let scenario = standing.scenario.name();
        match groups.iter_mut().find(|(known, _)| *known == leaders) {
            _ if leaders.is_empty() => {}
            Some((_, scenarios)) => scenarios.push(scenario),
            None => groups.push((leaders, vec![scenario])),
        }
    }
    let parts: Vec<_> = groups
        .iter()
        .map(|(leaders, scenarios)| {
            let together = if leaders.len() > 1 {
                " (no difference seen)"
            } else {
                ""
            };
            format!("{}{together} in {}", listed(leaders), listed(scenarios))
        })
        .collect();
    match parts.is_empty() {
        true => "No contender could be ranked.".to_owned(),
        false => format!("Least processor time per request: {}.", parts.join("; ")),
    }
}

/// What keeps the run from being whole and the figures from being sure.
pub(super) fn warnings(results: &Results, standings: &Standings<'_>) -> Vec<String> {
    let mut warnings = Vec::new();
    if let Some(imported) = &results.run.imported {
        warnings.push(format!(
            "Imported from {} of {}, run {}: no contender was checked here, and what is not recorded there is unknown.",
            imported.file, imported.harness, imported.run
        ));
    }
    let (made, planned) = (results.closed().count(), results.planned_closed());
    if results.attempts.is_empty() {
        warnings.push("Nothing was measured yet.".to_owned());
    }
    if results.run.imported.is_some() {
        if made < planned {
            warnings.push(format!("{made} of {planned} attempts are in it."));
        }
    } else if results.ended_at.is_none() {
        warnings.push(format!(
            "This run was interrupted or is not done yet: {made} of {planned} closed-loop attempts were made."
        ));
    } else if made < planned {
        warnings.push(format!(
            "{made} of {planned} closed-loop attempts were made; the rest failed."
        ));
    }
    if results.run.plan.rounds == 1 {
        warnings.push(
            "One round: there are no intervals, and ranks are those of single figures.".to_owned(),
        );
    }
    let mut wide: Vec<_> = standings.cells().filter(|cell| cell.is_wide()).collect();
    wide.sort_by(|one, other| {
        other
            .spread()
            .unwrap_or(0.0)
            .total_cmp(&one.spread().unwrap_or(0.0))
    });
    let all = wide.len();
    let wide: Vec<_> = wide
        .into_iter()
        .take(WIDE_NAMED)
        .filter_map(|cell| {
            let scenario = cell.attempts.first()?.scenario;
            Some(format!(
                "{} in {scenario} ({})",
                cell.contender.name,
                percent(cell.spread()?)
            ))
        })
        .collect();
    if !wide.is_empty() {
        let others = match all - wide.len() {
            0 => String::new(),
            others => format!(", and {others} cells more, as the tables say"),
        };
        warnings.push(format!(
            "Rounds differ by more than 10 %: {}{others}.",
            wide.join(", ")
        ));
    }
    warnings
}

/// The machine and what ran on it, name and value.
pub(super) fn machine(run: &Run) -> Vec<(&'static str, String)> {
    let machine = &run.machine;
    let unknown = || "not told".to_owned();
    let cores = match machine.cores {
        None => "cores not told".to_owned(),
        Some(1) => "1 logical core".to_owned(),
        Some(cores) => format!("{cores} logical cores"),
    };
    let memory = machine
        .memory_bytes
        .map(|bytes| bytes as f64 / f64::from(1 << 30));
    let memory = memory.map(|gibibytes| format!("{gibibytes:.1} GiB"));
    let virtualised = match machine.virtualisation.as_deref() {
        Some("none") => "no, bare metal".to_owned(),
        Some(by) => format!("yes, {by}"),
        None => unknown(),
    };
    let versions = run.versions.iter();
    let versions: Vec<_> = versions
        .map(|(name, version)| format!("{name} {version}"))
        .collect();
    let imported = run.imported.iter().flat_map(|imported| {
        let notes = imported.notes.iter();
        let notes: Vec<_> = notes
            .map(|(name, value)| format!("{name} {value}"))
            .collect();
        [
            ("Measured by", imported.harness.clone()),
            ("Its run", imported.run.clone()),
            ("It notes", notes.join(", ")),
        ]
    });
    let rows = [
        ("Host", machine.host.clone()),
        ("Processor", format!("{}, {cores}", machine.cpu)),
        ("Governor", machine.governor.clone().unwrap_or_else(unknown)),
        ("Memory", memory.unwrap_or_else(unknown)),
        ("Kernel", machine.kernel.clone()),
        ("Virtualised", virtualised),
        (
            "Versions",
            match versions.is_empty() {
                true => unknown(),
                false => versions.join(", "),
            },
        ),
        (
            "Commit",
            match (&run.commit, &run.imported) {
                (Some(commit), _) => commit.clone(),
                (None, Some(_)) => unknown(),
                (None, None) => "none: not a checkout".to_owned(),
            },
        ),
        ("Started", run.started_at.clone()),
    ];
    rows.into_iter().chain(imported).collect()
}

/// The plans of runs that differ in their points at the most, in a sentence.
pub(super) fn plans(plans: &[&Plan]) -> String {
    let plan = plans[0];
    let counted = |of: fn(&Plan) -> usize, unit: &str| {
        let numbers = each(plans.iter().map(|plan| of(plan)));
        let plural = if numbers == "1" { "" } else { "s" };
        format!("{numbers} {unit}{plural}")
    };
    let cpus = |cpus: &[usize]| {
        let names: Vec<_> = cpus.iter().map(ToString::to_string).collect();
        match names.is_empty() {
            true => "those not told".to_owned(),
            false => names.join(","),
        }
    };
    let open = match plan.rates.is_empty() {
        true => String::new(),
        false => format!("; open loop at {}", rates(&plan.rates)),
    };
    let rounds = match plan.rounds {
        0 => "Attempts".to_owned(),
        _ => counted(|plan| plan.rounds as usize, "round"),
    };
    format!(
        "{rounds} of {} s after {} s of warm-up, {} from {}, {}, contender on processor {}, everything else on {}{open}.",
        plan.duration_secs,
        plan.warmup_secs,
        counted(|plan| plan.connections, "connection"),
        plan.engine,
        counted(|plan| plan.workers, "worker"),
        cpus(&plan.contender_cpus),
        cpus(&plan.other_cpus),
    )
}

fn rates(rates: &[Rate]) -> String {
    let fixed = rates.iter().filter_map(|rate| match rate {
        Rate::Fixed(per_sec) => Some(format!("{}/s", figure::whole(*per_sec))),
        _ => None,
    });
    let shares = rates.iter().filter_map(|rate| match rate {
        Rate::PercentOfSlowest(percent) => Some(percent.to_string()),
        _ => None,
    });
    let shares: Vec<_> = shares.collect();
    let shares: Vec<_> = shares.iter().map(String::as_str).collect();
    let mut parts: Vec<_> = fixed.collect();
    if !shares.is_empty() {
        parts.push(format!(
            "{} % of the slowest server-bound rate",
            listed(&shares)
        ));
    }
    if rates.contains(&Rate::Sweep) {
        parts.push("doubling rates until the knee".to_owned());
    }
    listed(&parts.iter().map(String::as_str).collect::<Vec<_>>())
}

/// The command, to be pasted into a shell.
pub(super) fn command(run: &Run) -> String {
    let is_plain = |word: &str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_=./:,%+@".contains(c);
        !word.is_empty() && word.chars().all(plain)
    };
    let words = run.command.iter().map(|word| match is_plain(word) {
        true => word.clone(),
        false => quoted(word),
    });
    words.collect::<Vec<_>>().join(" ")
}

/// What does not add up: of whom, and what.
pub(super) fn attempt_warnings(results: &Results) -> Vec<(String, &str)> {
    let calibrations = results
        .calibrations
        .iter()
        .map(|attempt| (attempt, "calibration, "));
    let attempts = results.attempts.iter().map(|attempt| (attempt, ""));
    let warnings = calibrations.chain(attempts).flat_map(|(attempt, prefix)| {
        let warnings = attempt.warnings.iter();
        warnings.map(move |warning| (format!("{prefix}{}", place(attempt)), warning.as_str()))
    });
    warnings.collect()
}

fn place(attempt: &Attempt) -> String {
    let rate = match attempt.pace {
        Pace::Closed => String::new(),
        Pace::Open(rate) => format!(" at {}/s", figure::whole(rate)),
    };
    format!(
        "{}, {}{rate}, round {}",
        attempt.contender, attempt.scenario, attempt.round
    )
}

/// Wrong and missing answers: of whom, what, how many.
pub(super) fn wrong_answers(results: &Results) -> Vec<(String, String)> {
    let wrong = results
        .attempts
        .iter()
        .filter(|attempt| attempt.measured.error_count() > 0);
    let kinds = |errors: &BTreeMap<String, u64>| {
        let kinds = errors
            .iter()
            .map(|(kind, count)| format!("{} × {kind}", figure::whole(*count as f64)));
        kinds.collect::<Vec<_>>().join(", ")
    };
    wrong
        .map(|attempt| (place(attempt), kinds(&attempt.measured.errors)))
        .collect()
}

/// A figure with its interval in brackets.
pub(super) fn with_interval(estimate: Option<&Estimate>, as_text: fn(f64) -> String) -> String {
    figure::or_none(estimate, |estimate| {
        let median = as_text(estimate.median);
        match figure::interval(estimate, as_text) {
            Some(interval) => format!("{median} ({interval})"),
            None => median,
        }
    })
}
