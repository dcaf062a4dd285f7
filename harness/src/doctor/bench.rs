//! What a measurement needs, and what makes one worth less.

use std::fs;
use std::thread::sleep;
use std::time::Duration;

use procfs::{CurrentSI, KernelStats};
use rustix::process::{Resource, getrlimit};

use super::{Finding, State, Way};
use crate::bench::engine::Engine;
use crate::bench::engine::k6::K6;
use crate::bench::engine::wrk::Wrk;
use crate::bench::platform;
use crate::bench::verdict::{FOREIGN_MAX, STEAL_MAX};
use crate::bench::watch::Ticks;
use crate::cpus::Cpus;

/// Time for which the machine is watched.
const WATCHED: Duration = Duration::from_secs(1);

/// Open files of a contender that has the connections of an engine, the upstream and Postgres, with
/// room for a sweep with many more.
const FILES: u64 = 4096;

/// Room for tracked connections: the tests of this suite alone have filled 256 Ki.
const TRACKED: u64 = 512 * 1024;

pub(super) fn findings() -> Vec<Finding> {
    let mut findings = vec![processors(), governor(), files(), tracked(), quiet()];
    findings.extend([engine(&K6), engine(&Wrk)]);
    findings
}

/// Somebody else's engine; our own is always there.
fn engine(engine: &dyn Engine) -> Finding {
    let name = engine.name();
    match engine.version() {
        Ok(version) => Finding::new(Way::Bench, name, State::Ok, version),
        Err(error) => {
            let says = format!("only for `--engine {name}`: {error:#}");
            Finding::new(Way::Bench, name, State::Note, says)
        }
    }
}

fn processors() -> Finding {
    let cpus = Cpus::available().map_or(0, |cpus| cpus.numbers().len());
    let (state, says) = match cpus {
        0 | 1 => (
            State::Note,
            "one: contender, engine and the rest share it, and no rate is the contender's own"
                .to_owned(),
        ),
        2 => (
            State::Note,
            "2: the engine, the upstream and Postgres share one; rates of catalog and users-me are \
             often not the contender's"
                .to_owned(),
        ),
        cpus => (State::Ok, format!("{cpus}")),
    };
    Finding::new(Way::Bench, "processors", state, says)
}

fn governor() -> Finding {
    let what = "governor";
    match platform::governor() {
        Some(governor) if governor == "performance" => {
            Finding::new(Way::Bench, what, State::Ok, governor)
        }
        Some(governor) => Finding::new(
            Way::Bench,
            what,
            State::Note,
            format!(
                "{governor}: clocks change; run `cpupower frequency-set -g performance` as root"
            ),
        ),
        None => Finding::new(
            Way::Bench,
            what,
            State::Note,
            "not told by the kernel: that of a virtual machine is its host's",
        ),
    }
}

/// The hard limit: services raise the soft one to it.
fn files() -> Finding {
    let what = "open files";
    match getrlimit(Resource::Nofile).maximum {
        Some(limit) if limit < FILES => Finding::new(
            Way::Bench,
            what,
            State::Note,
            format!("at most {limit}: raise the hard limit, `ulimit -Hn 65536` as root"),
        ),
        Some(limit) => Finding::new(Way::Bench, what, State::Ok, format!("up to {limit}")),
        None => Finding::new(Way::Bench, what, State::Ok, "without a limit"),
    }
}

/// Connections that the kernel keeps a record of, those of 127.0.0.1 too, where rules of Docker or a
/// firewall ask for it.
fn tracked() -> Finding {
    let number = |name: &str| -> Option<u64> {
        let path = format!("/proc/sys/net/netfilter/nf_conntrack_{name}");
        fs::read_to_string(path).ok()?.trim().parse().ok()
    };
    let (state, says) = room(number("count").zip(number("max")));
    Finding::new(Way::Bench, "tracked connections", state, says)
}

/// Whether there is room for more, of how many there are and may be. A check or a measurement leaves
/// tens of thousands behind, each for two minutes.
fn room(tracked: Option<(u64, u64)>) -> (State, String) {
    match tracked {
        Some((count, max)) if max < TRACKED || count > max / 2 => (
            State::Note,
            format!(
                "{count} of at most {max}: when they are full the kernel drops new connections without a \
                 word; raise it, `sysctl net.netfilter.nf_conntrack_max=1048576` as root"
            ),
        ),
        Some((count, max)) => (State::Ok, format!("{count} of at most {max}")),
        None => (State::Ok, "none".to_owned()),
    }
}

/// What runs here now, and what the hypervisor takes.
fn quiet() -> Finding {
    let what = "quiet";
    let now = || KernelStats::current().map(|stats| stats.total);
    let (Ok(begin), ()) = (now(), sleep(WATCHED)) else {
        return Finding::new(Way::Bench, what, State::Note, "the kernel does not tell");
    };
    let Ok(end) = now() else {
        return Finding::new(Way::Bench, what, State::Note, "the kernel does not tell");
    };
    let ticks = Ticks::between(&begin, &end);
    let (busy, steal) = (
        ticks.share(|ticks| ticks.busy),
        ticks.share(|ticks| ticks.steal),
    );
    let says = format!(
        "programs take {:.0} % of the processors now, the hypervisor {:.0} %",
        busy * 100.0,
        steal * 100.0
    );
    match (busy > FOREIGN_MAX, steal > STEAL_MAX) {
        (false, false) => Finding::new(Way::Bench, what, State::Ok, says),
        (true, _) => Finding::new(
            Way::Bench,
            what,
            State::Note,
            format!("{says}: end them before you measure"),
        ),
        (false, true) => Finding::new(
            Way::Bench,
            what,
            State::Note,
            format!("{says}: measure on a machine without such neighbours"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_tracked_with_room_for_more_or_it_is_noted() {
        assert_eq!(room(None), (State::Ok, "none".to_owned()));
        let of_million = |count| room(Some((count, 1 << 20))).0;
        assert_eq!(of_million(4), State::Ok);
        assert_eq!(of_million(600_000), State::Note);
        assert_eq!(room(Some((4, 262_144))).0, State::Note);
    }
}
