//! Who was at the limit, and what does not add up.

use super::record::{Attempt, Bottleneck, Pace, Plan};

/// Share of its processors from which on somebody is taken to be at its limit.
const FULL: f64 = 0.95;

/// Share of the machine's time that the hypervisor may take before a figure is worth less.
pub const STEAL_MAX: f64 = 0.02;

/// Share of the machine's time that others may take.
pub const FOREIGN_MAX: f64 = 0.05;

/// Share of the requests on their way that wait for the upstream, from which on it is the upstream
/// that is measured.
const WAITING_FOR_UPSTREAM: f64 = 0.5;

/// Threads that serve the upstream.
const UPSTREAM_THREADS: f64 = 1.0;

/// How far Little's law may be off: an engine spends some of its time between two requests.
const LITTLE_MAX: f64 = 0.05;

/// How far the server's count may be off, beside what is on its way.
const SERVED_MAX: f64 = 0.005;

/// Most calls of the upstream or of Postgres that a contender can have on their way (CONTRACT,
/// environment).
const POOL: f64 = 64.0;

/// Who was at the limit. What somebody is seen to have used comes first: no noise can make up for
/// it. What only follows from processors that were busy is told from noise.
#[must_use]
pub fn bottleneck(attempt: &Attempt, plan: &Plan) -> Bottleneck {
    let usage = &attempt.usage;
    let seconds = attempt.measured.seconds;
    if attempt.measured.error_count() > 0 || attempt.measured.requests == 0 {
        return Bottleneck::Errors;
    }
    let others = [
        (
            Bottleneck::GeneratorBound,
            usage.generator.cpu_secs,
            plan.generator_threads() as f64,
        ),
        (
            Bottleneck::UpstreamBound,
            usage.upstream.cpu_secs,
            UPSTREAM_THREADS,
        ),
        (
            Bottleneck::DatabaseBound,
            usage.postgres.cpu_secs,
            plan.other_cpus.len() as f64,
        ),
    ];
    if usage.contender.cpu_secs >= FULL * seconds * plan.contender_cpus.len() as f64 {
        return Bottleneck::ServerBound;
    }
    for (bottleneck, cpu_secs, cpus) in others {
        if cpu_secs >= FULL * seconds * cpus {
            return bottleneck;
        }
    }
    let on_their_way = POOL.min(plan.connections as f64);
    if usage.upstream_in_flight.unwrap_or(0.0) >= WAITING_FOR_UPSTREAM * on_their_way {
        return Bottleneck::UpstreamBound;
    }
    if usage.steal > STEAL_MAX || usage.foreign > FOREIGN_MAX {
        return Bottleneck::Noisy;
    }
    // The kernel's interrupts for the contender's sockets are charged to nobody.
    let is_full = |idle: f64| idle <= 1.0 - FULL;
    if is_full(usage.contender_cpus_idle) {
        return Bottleneck::ServerBound;
    }
    if is_full(usage.other_cpus_idle) {
        // They share their processors: who takes most of them is who has too few.
        let most = others.into_iter().max_by(|a, b| a.1.total_cmp(&b.1));
        return most.map_or(Bottleneck::Waiting, |(bottleneck, ..)| bottleneck);
    }
    Bottleneck::Waiting
}

/// What does not add up, as sentences.
#[must_use]
pub fn warnings(attempt: &Attempt, plan: &Plan) -> Vec<String> {
    let mut warnings = Vec::new();
    let measured = &attempt.measured;
    if attempt.pace == Pace::Closed && measured.requests > 0 {
        let on_their_way = measured.requests_per_sec() * measured.latency.mean_ms / 1e3;
        let off = on_their_way / plan.connections as f64 - 1.0;
        if off.abs() > LITTLE_MAX {
            warnings.push(format!(
                "Little's law: {} connections, but rate × mean latency is {on_their_way:.1}",
                plan.connections
            ));
        }
    }
    if let (Some(served), true) = (attempt.usage.served, measured.error_count() == 0) {
        let answers = measured.answers_in_all;
        let allowed = answers as f64 * SERVED_MAX + plan.connections as f64;
        if served.abs_diff(answers) as f64 > allowed {
            warnings.push(format!(
                "the server's side counted {served} for {answers} answers"
            ));
        }
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Usage;
    use crate::sample::small;

    fn plan() -> Plan {
        small::plan(&["axum"])
    }

    fn attempt() -> Attempt {
        small::attempt("axum")
    }

    fn used(cpu_secs: f64) -> Usage {
        Usage {
            cpu_secs,
            ..Usage::default()
        }
    }

    fn with(change: impl FnOnce(&mut Attempt)) -> Bottleneck {
        let mut attempt = attempt();
        change(&mut attempt);
        bottleneck(&attempt, &plan())
    }

    #[test]
    fn whoever_has_used_its_budget_is_at_the_limit() {
        assert_eq!(with(|_| {}), Bottleneck::Waiting);
        let full = with(|attempt| attempt.usage.contender = used(9.5));
        assert_eq!(full, Bottleneck::ServerBound);
        // The kernel worked for its sockets.
        let no_idle = with(|attempt| attempt.usage.contender_cpus_idle = 0.05);
        assert_eq!(no_idle, Bottleneck::ServerBound);
        let generator = with(|attempt| attempt.usage.generator = used(9.5));
        assert_eq!(generator, Bottleneck::GeneratorBound);
        let upstream = with(|attempt| attempt.usage.upstream = used(9.5));
        assert_eq!(upstream, Bottleneck::UpstreamBound);
    }

    #[test]
    fn of_those_who_share_full_processors_the_one_that_takes_most_is_at_the_limit() {
        let shared = |shares: [f64; 3]| {
            with(|attempt| {
                let usage = &mut attempt.usage;
                usage.other_cpus_idle = 0.02;
                [usage.generator, usage.upstream, usage.postgres] = shares.map(used);
            })
        };
        assert_eq!(shared([5.0, 3.0, 1.8]), Bottleneck::GeneratorBound);
        assert_eq!(shared([3.0, 5.0, 1.8]), Bottleneck::UpstreamBound);
        assert_eq!(shared([3.0, 1.8, 5.0]), Bottleneck::DatabaseBound);
    }

    #[test]
    fn an_upstream_that_most_requests_wait_for_is_at_the_limit_without_any_work() {
        let slow = with(|attempt| attempt.usage.upstream_in_flight = Some(32.0));
        assert_eq!(slow, Bottleneck::UpstreamBound);
        let quick = with(|attempt| attempt.usage.upstream_in_flight = Some(31.9));
        assert_eq!(quick, Bottleneck::Waiting);
    }

    #[test]
    fn noise_is_told_from_what_follows_from_busy_processors_only() {
        let stolen = with(|attempt| attempt.usage.steal = 0.03);
        assert_eq!(stolen, Bottleneck::Noisy);
        let foreign = with(|attempt| {
            attempt.usage.foreign = 0.06;
            attempt.usage.contender_cpus_idle = 0.0;
            attempt.usage.other_cpus_idle = 0.0;
        });
        assert_eq!(foreign, Bottleneck::Noisy);
        let full_all_the_same = with(|attempt| {
            attempt.usage.foreign = 0.06;
            attempt.usage.contender = used(9.6);
        });
        assert_eq!(full_all_the_same, Bottleneck::ServerBound);
    }

    #[test]
    fn one_wrong_answer_is_an_error_whoever_was_at_the_limit() {
        let wrong = with(|attempt| {
            attempt.usage.contender = used(10.0);
            attempt.measured.errors.insert("status 503".to_owned(), 1);
        });
        assert_eq!(wrong, Bottleneck::Errors);
        assert_eq!(
            with(|attempt| attempt.measured.requests = 0),
            Bottleneck::Errors
        );
    }

    #[test]
    fn little_s_law_holds_or_is_doubted() {
        let mut attempt = attempt();
        assert!(warnings(&attempt, &plan()).is_empty());
        attempt.measured.latency.mean_ms = 9.0;
        assert_eq!(
            warnings(&attempt, &plan()),
            ["Little's law: 100 connections, but rate × mean latency is 90.0"]
        );
        attempt.pace = Pace::Open(10_000.0);
        assert!(warnings(&attempt, &plan()).is_empty());
    }

    #[test]
    fn a_server_that_counted_otherwise_is_doubted() {
        let mut attempt = attempt();
        attempt.usage.served = Some(110_000 - 550 - 100);
        assert!(warnings(&attempt, &plan()).is_empty());
        attempt.usage.served = Some(110_000 - 550 - 101);
        assert_eq!(
            warnings(&attempt, &plan()),
            ["the server's side counted 109349 for 110000 answers"]
        );
    }
}
