//! The bottleneck of an attempt, and the plausibility of its numbers.

use crate::record::{Attempt, Bottleneck, LoadModel, Plan};
use testbed::number::percent;

/// Share of its CPUs from which on a process group counts as saturated.
const SATURATED: f64 = 0.95;

/// Largest share of the machine's CPU time that the hypervisor may take.
const STEAL_MAX: f64 = 0.02;

/// Largest share of the machine's CPU time that other processes may take.
const FOREIGN_MAX: f64 = 0.05;

/// Share of the requests in flight that wait for the upstream, from which on the upstream is
/// measured.
const UPSTREAM_WAIT: f64 = 0.5;

/// Threads that serve the upstream.
const UPSTREAM_THREADS: f64 = 1.0;

/// Largest deviation from Little's law: an engine spends some time between two requests.
const LITTLE_MAX: f64 = 0.05;

/// Largest deviation of the server's count, beside the requests in flight.
const SERVED_MAX: f64 = 0.005;

/// Loads whose scans are counted together: the measured one, those of repeated requests, and one with
/// invalid requests. Each ends with a request in flight on every connection.
const LOADS_MAX: f64 = 6.0;

/// Repeated requests that cost less than this share of unique ones are answered from memory. Caches and
/// branch prediction of the CPU save a few percent.
const REPEATED_MIN: f64 = 0.8;

/// Most concurrent calls of the upstream or of Postgres (CONTRACT, environment).
const POOL: f64 = 64.0;

/// Returns the bottleneck. CPU time that a process group is seen to have used counts whatever the
/// noise; conclusions from idle time are drawn only without noise.
#[must_use]
pub fn bottleneck(attempt: &Attempt, plan: &Plan) -> Bottleneck {
    let (usage, measured) = (&attempt.usage, &attempt.measured);
    if measured.error_count() > 0 || measured.requests + measured.refused == 0 {
        return Bottleneck::Errors;
    }
    if attempt.repeated_cost.is_some_and(is_remembered) || is_unserved(attempt, plan) {
        return Bottleneck::NotComparable;
    }
    if plan.shared_cpus().is_some() {
        return Bottleneck::SharedCpus;
    }
    let is_saturated = |cpu_secs: f64, cpus: f64| cpu_secs >= SATURATED * measured.seconds * cpus;
    let contender_cpus = plan.contender_cpus.len() as f64;
    let is_known = !plan.contender_cpus.is_empty();
    if is_known && is_saturated(usage.contender.cpu_secs, contender_cpus) {
        return Bottleneck::ServerBound;
    }
    let (threads, cpus) = (
        plan.generator_threads() as f64,
        plan.other_cpus.len() as f64,
    );
    let others = [
        (Bottleneck::GeneratorBound, &usage.generator, threads),
        (Bottleneck::UpstreamBound, &usage.upstream, UPSTREAM_THREADS),
        (Bottleneck::DatabaseBound, &usage.postgres, cpus),
    ];
    let others = others.map(|(name, usage, cpus)| (name, usage.cpu_secs, cpus));
    for (bottleneck, cpu_secs, cpus) in others {
        if is_saturated(cpu_secs, cpus) {
            return bottleneck;
        }
    }
    let in_flight = POOL.min(plan.connections as f64);
    if usage.upstream_in_flight.unwrap_or(0.0) >= UPSTREAM_WAIT * in_flight {
        return Bottleneck::UpstreamBound;
    }
    if usage.steal > STEAL_MAX || usage.foreign > FOREIGN_MAX {
        return Bottleneck::Noisy;
    }
    let is_busy = |idle: f64| idle <= 1.0 - SATURATED;
    // The kernel's interrupts for the contender's sockets are charged to no process.
    if is_known && is_busy(usage.contender_cpus_idle) {
        return Bottleneck::ServerBound;
    }
    if is_busy(usage.other_cpus_idle) {
        // They share their CPUs: the group that uses most of them lacks CPU time.
        let most = others.into_iter().max_by(|a, b| a.1.total_cmp(&b.1));
        return most.map_or(Bottleneck::Waiting, |(bottleneck, ..)| bottleneck);
    }
    match is_known {
        true => Bottleneck::Waiting,
        false => Bottleneck::Unknown,
    }
}

/// Returns true if repeated requests at this share of the cost of unique ones show a memory.
pub(crate) fn is_remembered(repeated_cost: f64) -> bool {
    repeated_cost < REPEATED_MIN
}

/// Returns the number of requests that the server's side may count more or less than there are answers.
fn served_tolerance(attempt: &Attempt, plan: &Plan) -> f64 {
    attempt.measured.answers_in_all as f64 * SERVED_MAX + plan.connections as f64 * LOADS_MAX
}

/// Returns true if the upstream or Postgres served fewer requests than the contender answered.
fn is_unserved(attempt: &Attempt, plan: &Plan) -> bool {
    let missing = |served| attempt.measured.answers_in_all.saturating_sub(served) as f64;
    let served = attempt.usage.served;
    served.is_some_and(|served| missing(served) > served_tolerance(attempt, plan))
}

/// Returns a sentence for each number that is not plausible.
#[must_use]
pub fn warnings(attempt: &Attempt, plan: &Plan) -> Vec<String> {
    let mut warnings = Vec::new();
    let measured = &attempt.measured;
    if attempt.load_model == LoadModel::Closed && measured.requests > 0 {
        let in_flight = measured.requests_per_sec() * measured.latency.mean_ms / 1e3;
        let deviation = in_flight / plan.connections as f64 - 1.0;
        if deviation.abs() > LITTLE_MAX {
            warnings.push(format!(
                "Little's law: {} connections, but rate × mean latency is {in_flight:.1}",
                plan.connections
            ));
        }
    }
    if let (Some(served), 0) = (attempt.usage.served, measured.error_count()) {
        let answers = measured.answers_in_all;
        if served.abs_diff(answers) as f64 > served_tolerance(attempt, plan) {
            warnings.push(format!(
                "the server's side counted {served} for {answers} answers"
            ));
        }
    }
    if let Some(cost) = attempt.repeated_cost.filter(|cost| is_remembered(*cost)) {
        warnings.push(format!(
            "repeated requests cost {} of the CPU time of unique ones: it remembers earlier requests",
            percent(cost)
        ));
    }
    if measured.resent > 0 {
        let resent = measured.resent;
        warnings.push(format!(
            "{resent} requests were sent again, because the server had closed their connection"
        ));
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{ResourceUsage, Usage};
    use crate::sample::small;

    fn used(cpu_secs: f64) -> Usage {
        Usage {
            cpu_secs,
            ..Usage::default()
        }
    }

    /// Returns the bottleneck of ten seconds with a changed usage.
    fn with(change: impl FnOnce(&mut ResourceUsage)) -> Bottleneck {
        let mut attempt = small::attempt("axum");
        change(&mut attempt.usage);
        bottleneck(&attempt, &small::plan(&["axum"]))
    }

    #[test]
    fn saturated_group_is_the_bottleneck() {
        type Case = (Bottleneck, fn(&mut ResourceUsage));
        let cases: [Case; 8] = [
            (Bottleneck::Waiting, |_| {}),
            (Bottleneck::ServerBound, |usage| usage.contender = used(9.5)),
            (Bottleneck::ServerBound, |usage| {
                usage.contender_cpus_idle = 0.05;
            }),
            (Bottleneck::GeneratorBound, |usage| {
                usage.generator = used(9.5);
            }),
            (Bottleneck::UpstreamBound, |usage| {
                usage.upstream = used(9.5);
            }),
            (Bottleneck::DatabaseBound, |usage| {
                usage.postgres = used(9.5);
            }),
            (Bottleneck::UpstreamBound, |usage| {
                usage.upstream_in_flight = Some(32.0);
            }),
            (Bottleneck::Waiting, |usage| {
                usage.upstream_in_flight = Some(31.9);
            }),
        ];
        for (number, (expected, change)) in cases.into_iter().enumerate() {
            assert_eq!(with(change), expected, "case {number}");
        }
    }

    #[test]
    fn group_that_uses_most_of_shared_busy_cpus_is_the_bottleneck() {
        for (shares, expected) in [
            ([5.0, 3.0, 1.8], Bottleneck::GeneratorBound),
            ([3.0, 5.0, 1.8], Bottleneck::UpstreamBound),
            ([3.0, 1.8, 5.0], Bottleneck::DatabaseBound),
        ] {
            let shared = with(|usage| {
                usage.other_cpus_idle = 0.02;
                [usage.generator, usage.upstream, usage.postgres] = shares.map(used);
            });
            assert_eq!(shared, expected);
        }
    }

    #[test]
    fn noise_hides_idle_time_but_no_cpu_time() {
        let steal = with(|usage| usage.steal = 0.03);
        assert_eq!(steal, Bottleneck::Noisy);
        let foreign = with(|usage| {
            usage.foreign = 0.06;
            usage.contender_cpus_idle = 0.0;
            usage.other_cpus_idle = 0.0;
        });
        assert_eq!(foreign, Bottleneck::Noisy);
        let saturated = with(|usage| {
            usage.foreign = 0.06;
            usage.contender = used(9.6);
        });
        assert_eq!(saturated, Bottleneck::ServerBound);
    }

    #[test]
    fn wrong_or_missing_answers_are_errors_whatever_is_saturated() {
        let plan = small::plan(&["axum"]);
        let mut attempt = small::attempt("axum");
        attempt.usage.contender = used(10.0);
        attempt.measured.errors.insert("status 503".to_owned(), 1);
        assert_eq!(bottleneck(&attempt, &plan), Bottleneck::Errors);
        attempt.measured.errors.clear();
        attempt.measured.requests = 0;
        assert_eq!(bottleneck(&attempt, &plan), Bottleneck::Errors);
    }

    #[test]
    fn contender_that_remembers_is_not_comparable() {
        let plan = small::plan(&["axum"]);
        let mut attempt = small::attempt("axum");
        attempt.usage.contender = used(10.0);
        attempt.repeated_cost = Some(0.8);
        assert_eq!(bottleneck(&attempt, &plan), Bottleneck::ServerBound);
        attempt.repeated_cost = Some(0.79);
        assert_eq!(bottleneck(&attempt, &plan), Bottleneck::NotComparable);
        attempt.repeated_cost = None;
        // 110,000 answers.
        attempt.usage.served = Some(100_000);
        assert_eq!(bottleneck(&attempt, &plan), Bottleneck::NotComparable);
        attempt.usage.served = Some(120_000);
        assert_eq!(bottleneck(&attempt, &plan), Bottleneck::ServerBound);
    }

    #[test]
    fn bottleneck_of_a_contender_on_unknown_cpus_is_unknown_or_another() {
        let mut plan = small::plan(&["axum"]);
        plan.contender_cpus = Vec::new();
        let mut attempt = small::attempt("axum");
        attempt.usage.contender_cpus_idle = 0.0;
        assert_eq!(bottleneck(&attempt, &plan), Bottleneck::Unknown);
        attempt.usage.generator = used(9.6);
        assert_eq!(bottleneck(&attempt, &plan), Bottleneck::GeneratorBound);
    }

    #[test]
    fn contender_without_cpus_of_its_own_is_never_server_bound() {
        let mut attempt = small::attempt("axum");
        attempt.usage.contender = used(10.0);
        let mut plan = small::plan(&["axum"]);
        for (other_cpus, cpu_quota, is_shared) in [
            (vec![1], None, false),
            (vec![0, 1], None, true),
            (vec![1], Some(0.9), true),
            (vec![1], Some(1.0), false),
        ] {
            (plan.other_cpus, plan.cpu_quota) = (other_cpus, cpu_quota);
            let expected = match is_shared {
                true => Bottleneck::SharedCpus,
                false => Bottleneck::ServerBound,
            };
            assert_eq!(bottleneck(&attempt, &plan), expected, "{plan:?}");
            assert_eq!(plan.shared_cpus().is_some(), is_shared);
        }
    }

    #[test]
    fn implausible_numbers_are_warned_of() {
        let plan = small::plan(&["axum"]);
        let mut attempt = small::attempt("axum");
        assert!(warnings(&attempt, &plan).is_empty());
        attempt.measured.latency.mean_ms = 9.0;
        assert_eq!(
            warnings(&attempt, &plan),
            ["Little's law: 100 connections, but rate × mean latency is 90.0"]
        );
        attempt.load_model = LoadModel::Open(10_000.0);
        attempt.usage.served = Some(110_000 - 550 - 600);
        assert!(warnings(&attempt, &plan).is_empty());
        attempt.usage.served = Some(110_000 - 550 - 601);
        assert_eq!(
            warnings(&attempt, &plan),
            ["the server's side counted 108849 for 110000 answers"]
        );
    }
}
