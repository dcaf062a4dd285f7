//! The texts that every report contains beside its tables.

use std::collections::BTreeSet;

use super::super::cell::Cell;
use super::super::record::{Attempt, LoadModel, Plan, Rate, Run, Start};
use super::super::results::Results;
use super::super::scenario::Scenario;
use super::super::standings::Standings;
use super::super::statistics::median;
use testbed::number::{NONE, listed, percent, whole};
use testbed::terminal::quoted;

/// A warning names at most this many cells of a wide spread.
const WIDE_MAX: usize = 4;

/// The heading of the table of open loops.
pub(super) const OPEN_LOOP: &str = "p99 ms in open loop, from the scheduled time";

/// The heading of the table of starts.
pub(super) const STARTS: &str =
    "Time until the first answer, and of the first request of each scenario";

/// Returns the names of the contenders and the CPU.
pub(super) fn title(standings: &Standings<'_>) -> String {
    let contenders = standings.plan().contenders.iter();
    let contenders = contenders.filter(|contender| !contender.is_ceiling());
    let names: Vec<_> = contenders.map(|contender| &contender.name).collect();
    let names = match names.len() {
        0 => "No contender".to_owned(),
        1..=4 => listed(&names),
        count => format!("{count} contenders"),
    };
    format!("{names} on {}", standings.runs[0].run.machine.cpu)
}

/// Returns a sentence with the contenders of the least CPU time per request.
pub(super) fn headline(standings: &Standings<'_>) -> String {
    let runs = &standings.runs;
    let has_open_loops = runs.iter().any(|results| !results.attempts.is_empty());
    if standings.cells().all(|cell| cell.attempts == 0) && has_open_loops {
        return "Only open loops were measured: no contender is ranked.".to_owned();
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
    let parts = groups.iter().map(|(leaders, scenarios)| {
        let tie = if leaders.len() > 1 { " (a tie)" } else { "" };
        format!("{}{tie} in {}", listed(leaders), listed(scenarios))
    });
    let parts: Vec<_> = parts.collect();
    let point = standings.point_suffix(standings.plan().point());
    match parts.is_empty() {
        true => "No contender could be ranked.".to_owned(),
        false => format!("Least CPU time per request{point}: {}.", parts.join("; ")),
    }
}

/// Returns a sentence with the baseline of `vs all`.
pub(super) fn baseline(standings: &Standings<'_>) -> String {
    let name = standings
        .baseline
        .map_or(NONE, |baseline| baseline.name.as_str());
    format!("vs all: {name} is 1.")
}

/// Returns the reasons why the run is incomplete or its values are uncertain.
pub(super) fn warnings(standings: &Standings<'_>) -> Vec<String> {
    let mut warnings = Vec::new();
    let runs = &standings.runs;
    let made: usize = runs.iter().map(|results| results.closed().count()).sum();
    let planned: usize = runs.iter().map(|results| results.planned_closed()).sum();
    if runs.iter().all(|results| results.attempts.is_empty()) {
        warnings.push("Nothing was measured yet.".to_owned());
    }
    let attempts = format!("{made} of {planned} closed-loop attempts were made");
    if runs.iter().any(|results| results.ended_at.is_none()) {
        warnings.push(format!(
            "This run was interrupted or is not done yet: {attempts}."
        ));
    } else if made < planned {
        warnings.push(format!("{attempts}; the others failed."));
    }
    for contender in &standings.plan().contenders {
        let name = &contender.name;
        let is_checked = |results: &&Results| results.is_checked(name);
        if !contender.is_ceiling() && made > 0 && !runs.iter().any(is_checked) {
            warnings.push(format!(
                "{name} was not checked and is not ranked: bench --url checks with --upstream-port and --database-url."
            ));
        }
    }
    if let Some(reason) = standings.plan().shared_cpus() {
        warnings.push(format!(
            "No contender is server-bound and no rate is ranked: {reason}."
        ));
    }
    if standings.plan().rounds == 1 {
        warnings.push("One round: there are no intervals, and ranks compare single values.".into());
    }
    let mut wide: Vec<_> = standings.cells().filter(|cell| cell.is_wide()).collect();
    let spread = |cell: &Cell<'_>| cell.spread().unwrap_or(0.0);
    wide.sort_by(|one, other| spread(other).total_cmp(&spread(one)));
    let named = wide.iter().take(WIDE_MAX).map(|cell| {
        let contender = &cell.contender.name;
        let point = standings.point_suffix(cell.point);
        let spread = percent(spread(cell));
        format!("{contender} in {}{point} ({spread})", cell.scenario)
    });
    let named: Vec<_> = named.collect();
    if !named.is_empty() {
        let others = match wide.len() - named.len() {
            0 => String::new(),
            others => format!(", and {others} more"),
        };
        let named = named.join(", ");
        warnings.push(format!("Rounds differ by more than 10 %: {named}{others}."));
    }
    let implausible = remarks_of_attempts(standings).len();
    if implausible > 0 {
        warnings.push(format!(
            "Attempts with warnings or errors: {implausible}, see the report."
        ));
    }
    warnings
}

/// Returns the machine and its software as pairs of name and value.
pub(super) fn machine(standings: &Standings<'_>) -> Vec<(&'static str, String)> {
    let run = &standings.runs[0].run;
    let machine = &run.machine;
    let unknown = || "unknown".to_owned();
    let cores = match machine.cores {
        None => "unknown number of cores".to_owned(),
        Some(cores) => counted(&[cores], "logical core"),
    };
    let memory = machine.memory_bytes.map(|bytes| {
        let gibibytes = bytes as f64 / f64::from(1 << 30);
        format!("{gibibytes:.1} GiB")
    });
    let versions = run.versions.iter();
    let versions = versions.map(|(name, version)| format!("{name} {version}"));
    let contenders = standings.plan().contenders.iter();
    let contenders =
        contenders.map(|contender| format!("{}: {}", contender.name, contender.made_of));
    vec![
        ("Host", machine.host.clone()),
        ("CPU", format!("{}, {cores}", machine.cpu)),
        ("Governor", machine.governor.clone().unwrap_or_else(unknown)),
        ("Memory", memory.unwrap_or_else(unknown)),
        ("Kernel", machine.kernel.clone()),
        (
            "Virtualisation",
            machine.virtualisation.clone().unwrap_or_else(unknown),
        ),
        ("Versions", versions.collect::<Vec<_>>().join(", ")),
        ("Contenders", contenders.collect::<Vec<_>>().join("; ")),
        (
            "Commit",
            run.commit
                .clone()
                .unwrap_or_else(|| "no checkout".to_owned()),
        ),
        ("Started", run.started_at.clone()),
    ]
}

/// Returns the settings of the plan in a sentence.
pub(super) fn settings(standings: &Standings<'_>) -> String {
    let plan = standings.plan();
    let all = |setting: fn(&Plan) -> usize| -> Vec<usize> {
        let settings = standings
            .runs
            .iter()
            .map(|results| setting(&results.run.plan));
        settings.collect::<BTreeSet<_>>().into_iter().collect()
    };
    let cpus = |cpus: &[usize]| {
        let names: Vec<_> = cpus.iter().map(ToString::to_string).collect();
        names.join(",")
    };
    let contender = match plan.contender_cpus.is_empty() {
        true => "contender on unknown CPUs".to_owned(),
        false => format!("contender on CPU {}", cpus(&plan.contender_cpus)),
    };
    let open = match plan.rates.is_empty() {
        true => String::new(),
        false => format!("; open loop at {}", rates(&plan.rates)),
    };
    format!(
        "{} of {} s after {} s of warm-up, {} from {}, {}, {contender}, everything else on {}{open}.",
        counted(&[plan.rounds as usize], "round"),
        plan.duration_secs,
        plan.warmup_secs,
        counted(&all(|plan| plan.connections), "connection"),
        plan.engine,
        counted(&all(|plan| plan.workers), "worker"),
        cpus(&plan.other_cpus),
    )
}

fn counted(numbers: &[usize], unit: &str) -> String {
    let plural = if numbers == [1] { "" } else { "s" };
    let numbers: Vec<_> = numbers.iter().map(|number| whole(*number as f64)).collect();
    format!("{} {unit}{plural}", listed(&numbers))
}

fn rates(rates: &[Rate]) -> String {
    let texts = rates.iter().map(|rate| match rate {
        Rate::Fixed(per_sec) => format!("{}/s", whole(*per_sec)),
        Rate::PercentOfSlowest(percent) => {
            format!("{percent} % of the slowest server-bound rate")
        }
        Rate::Sweep => "doubling rates until the knee".to_owned(),
    });
    listed(&texts.collect::<Vec<_>>())
}

/// Returns the command line, quoted for a shell.
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

/// Returns failed checks, declared deviations, failed rounds, errors and warnings of attempts, as
/// pairs of subject and remark.
pub(super) fn remarks(standings: &Standings<'_>) -> Vec<(String, String)> {
    let mut remarks = Vec::new();
    for contender in &standings.plan().contenders {
        let name = &contender.name;
        for results in &standings.runs {
            for check in results.failed_checks(name) {
                remarks.push((
                    name.clone(),
                    format!(
                        "fails {}: expected {}, got {}",
                        check.slug, check.expected, check.actual
                    ),
                ));
            }
        }
        for (slug, reason) in &contender.deviations {
            remarks.push((name.clone(), format!("deviates in {slug}: {reason}")));
        }
    }
    remarks.dedup();
    for results in &standings.runs {
        for failure in &results.failures {
            let subject = format!("{}, round {}", failure.contender, failure.round);
            remarks.push((subject, failure.error.clone()));
        }
    }
    remarks.extend(remarks_of_attempts(standings));
    remarks
}

/// Returns the medians of the times until a contender answers and of its first requests, for each
/// contender that was started.
pub(super) fn starts(standings: &Standings<'_>) -> Vec<StartTimes> {
    let starts = standings.runs.iter().flat_map(|results| &results.starts);
    let times = standings.plan().contenders.iter().filter_map(|contender| {
        let starts = starts
            .clone()
            .filter(|start| start.contender == contender.name);
        starts.clone().next()?;
        let median_of = |time: &dyn Fn(&Start) -> Option<f64>| {
            median(&starts.clone().filter_map(time).collect::<Vec<_>>())
        };
        Some(StartTimes {
            contender: contender.name.clone(),
            ready_ms: median_of(&|start| start.ready_ms),
            first_ms: Scenario::ALL
                .map(|scenario| median_of(&|start| start.first_ms.get(&scenario).copied())),
        })
    });
    times.collect()
}

/// The median times of the starts of a contender, in milliseconds.
pub(super) struct StartTimes {
    pub(super) contender: String,
    pub(super) ready_ms: Option<f64>,
    /// By scenario.
    pub(super) first_ms: [Option<f64>; 4],
}

fn remarks_of_attempts(standings: &Standings<'_>) -> Vec<(String, String)> {
    let mut remarks = Vec::new();
    for results in &standings.runs {
        let Results {
            run,
            calibrations,
            attempts,
            ..
        } = results;
        let point = standings.point_suffix(run.plan.point());
        for attempt in calibrations.iter().chain(attempts) {
            let errors = attempt.measured.errors.iter();
            let errors = errors.map(|(kind, count)| format!("{} × {kind}", whole(*count as f64)));
            for remark in errors.chain(attempt.warnings.iter().cloned()) {
                remarks.push((format!("{}{point}", subject(attempt)), remark));
            }
        }
    }
    remarks
}

fn subject(attempt: &Attempt) -> String {
    let Attempt {
        contender,
        scenario,
        round,
        ..
    } = attempt;
    let rate = match attempt.load_model {
        LoadModel::Closed => String::new(),
        LoadModel::Open(rate) => format!(" at {}/s", whole(rate)),
        LoadModel::Invalid(share) => format!(" with {} invalid", percent(share)),
    };
    match round {
        0 => format!("calibration, {scenario}"),
        round => format!("{contender}, {scenario}{rate}, round {round}"),
    }
}
