//! `--dry-run`: what would be measured, and how long it takes.

use std::fmt::Write;

use super::board::rounded;
use load::record::Plan;
use load::report::figure::each;
use load::schedule::Schedule;
use testbed::terminal::table;

/// What the plans are.
pub(super) fn outline(plans: &[Plan]) -> String {
    let plan = &plans[0];
    let contenders = plan.contenders.iter().map(|planned| {
        let kind = match (planned.is_ceiling, planned.in_container) {
            (true, _) => "the limit, no contender",
            (false, true) => "in a container",
            (false, false) => "native",
        };
        [
            planned.name.clone(),
            planned.made_of.clone(),
            kind.to_owned(),
        ]
    });
    let mut text = table(["CONTENDER", "MADE OF", "RUNS"], contenders);
    let names: Vec<_> = plan
        .scenarios
        .iter()
        .map(|scenario| scenario.name())
        .collect();
    let schedules = || plans.iter().map(|plan| Schedule { plan, lines: &[] });
    let open: usize = schedules().map(|schedule| schedule.open_attempts()).sum();
    let _ = write!(
        text,
        "\n\n{} rounds of {}, and {} of open loops: {} s each after {} s, {} connections, {} workers, engine {}\n\
         contender on processor {:?}, everything else on {:?}\n\
         {} attempts in closed loop, {} in open loop: about {}",
        plan.rounds,
        names.join(", "),
        plan.rounds_in_all() - plan.rounds,
        plan.duration_secs,
        plan.warmup_secs,
        each(plans.iter().map(|plan| plan.connections)),
        each(plans.iter().map(|plan| plan.workers)),
        plan.engine,
        plan.contender_cpus,
        plan.other_cpus,
        schedules()
            .map(|schedule| schedule.closed_attempts())
            .sum::<usize>(),
        match open {
            0 => "none".to_owned(),
            some => format!("about {some}"),
        },
        rounded(schedules().map(|schedule| schedule.estimate()).sum())
    );
    text
}
