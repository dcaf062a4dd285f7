//! Looks at everybody's cost while an engine runs, ten times a second.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::Result;
use procfs::{CpuTime, Current, CurrentSI, KernelStats, LoadAverage};
use rustix::process::Pid;

use super::party::{Party, all_processes};
use super::record::{ResourceUsage, Timeline, Usage};
use testbed::interrupt::Interrupt;

/// Time between two looks.
pub const INTERVAL: Duration = Duration::from_millis(100);

/// Looks between two searches for processes that came and went: a search reads all of `/proc`.
const LOOKS_PER_SEARCH: usize = 10;

/// The engine as the system sees it.
#[derive(Clone, Debug)]
pub enum Generator {
    /// A process and all its descendants.
    Process(Pid),
    /// Threads of this process, alive until the measured time has ended.
    Threads(Vec<Pid>),
}

/// Who takes part beside the engine, and on which processors.
#[derive(Clone, Debug)]
pub struct Scene {
    pub contender: Party,
    pub upstream: Party,
    pub postgres: Party,
    pub contender_cpus: Vec<usize>,
    pub other_cpus: Vec<usize>,
}

/// What an engine tells about its measured time.
#[derive(Debug)]
pub struct Watch<'a> {
    interrupt: &'a Interrupt,
    /// Contender, generator, upstream, Postgres.
    parties: Option<[Party; 4]>,
    contender_cpus: Vec<usize>,
    other_cpus: Vec<usize>,
    looks: Vec<Look>,
    edges: Vec<Edge>,
}

/// What is seen ten times a second.
#[derive(Debug)]
struct Look {
    at: Instant,
    cpu: [Duration; 4],
    rss_bytes: u64,
}

/// What is seen at both ends of the measured time.
#[derive(Debug)]
struct Edge {
    context_switches: [u64; 4],
    /// Ticks of each processor.
    machine: Vec<CpuTime>,
}

impl<'a> Watch<'a> {
    /// Looks at nobody: for an engine on its own.
    pub fn nobody(interrupt: &'a Interrupt) -> Self {
        Self {
            interrupt,
            parties: None,
            contender_cpus: Vec::new(),
            other_cpus: Vec::new(),
            looks: Vec::new(),
            edges: Vec::new(),
        }
    }

    /// Looks at these, and at the engine once it says who it is.
    pub fn over(scene: Scene, interrupt: &'a Interrupt) -> Self {
        let nobody = Party::of_threads(&[]);
        Self {
            parties: Some([scene.contender, nobody, scene.upstream, scene.postgres]),
            contender_cpus: scene.contender_cpus,
            other_cpus: scene.other_cpus,
            ..Self::nobody(interrupt)
        }
    }

    /// The measured time begins now, with this engine.
    pub fn begin(&mut self, generator: Generator) {
        if let Some([_, engine, ..]) = &mut self.parties {
            *engine = match generator {
                Generator::Process(pid) => Party::of_process(pid),
                Generator::Threads(threads) => Party::of_threads(&threads),
            };
        }
        self.edge();
        self.look();
    }

    /// Looks, again and again, until then.
    ///
    /// # Errors
    /// The process was asked to end.
    pub fn until(&mut self, end: Instant) -> Result<()> {
        loop {
            self.interrupt.check()?;
            let now = Instant::now();
            let next = match self.looks.last() {
                Some(last) if now >= last.at + INTERVAL => {
                    self.look();
                    continue;
                }
                Some(last) => last.at + INTERVAL,
                None => now + INTERVAL,
            };
            let left = end.min(next).saturating_duration_since(now);
            if now >= end {
                return Ok(());
            }
            sleep(left);
        }
    }

    /// The measured time ends now.
    pub fn end(&mut self) {
        self.look();
        self.edge();
    }

    fn look(&mut self) {
        let Some(parties) = &mut self.parties else {
            return;
        };
        if self.looks.len().is_multiple_of(LOOKS_PER_SEARCH) {
            let all = all_processes();
            for party in parties.iter_mut() {
                party.look_around(&all);
            }
        }
        let before = self
            .looks
            .last()
            .map_or([Duration::ZERO; 4], |look| look.cpu);
        let mut cpu = before;
        for (cpu, party) in cpu.iter_mut().zip(parties.iter()) {
            // Never less: the time of what has ended may be lost.
            *cpu = party.cpu().max(*cpu);
        }
        self.looks.push(Look {
            at: Instant::now(),
            cpu,
            rss_bytes: parties[0].rss_bytes(),
        });
    }

    fn edge(&mut self) {
        let Some(parties) = &mut self.parties else {
            return;
        };
        let all = all_processes();
        for party in parties.iter_mut() {
            party.look_around(&all);
        }
        self.edges.push(Edge {
            context_switches: [0, 1, 2, 3].map(|index| parties[index].context_switches()),
            machine: KernelStats::current().map_or_else(|_| Vec::new(), |stats| stats.cpu_time),
        });
    }

    /// What was seen.
    pub fn usage(&self) -> ResourceUsage {
        let ([first, .., last], [begin, end]) = (&*self.looks, &*self.edges) else {
            return ResourceUsage::default();
        };
        let used = |index: usize| (last.cpu[index] - first.cpu[index]).as_secs_f64();
        let usage = |index: usize| Usage {
            cpu_secs: used(index),
            context_switches: end.context_switches[index]
                .saturating_sub(begin.context_switches[index]),
            ..Usage::default()
        };
        let seen = self.looks.iter().map(|look| look.rss_bytes);
        let contender = Usage {
            rss_peak_bytes: seen.clone().max(),
            rss_mean_bytes: Some(seen.sum::<u64>() / self.looks.len() as u64),
            ..usage(0)
        };
        let [generator, upstream, postgres] = [1, 2, 3].map(usage);
        let ticks: Vec<Ticks> = begin
            .machine
            .iter()
            .zip(&end.machine)
            .map(|(begin, end)| Ticks::between(begin, end))
            .collect();
        let all: Ticks = ticks.iter().copied().sum();
        let of = |cpus: &[usize]| cpus.iter().filter_map(|cpu| ticks.get(*cpu)).copied().sum();
        let parties: f64 = [0, 1, 2, 3].map(used).iter().sum();
        let seconds = (last.at - first.at).as_secs_f64();
        let known = parties / (seconds * ticks.len() as f64);
        ResourceUsage {
            contender,
            generator,
            upstream,
            postgres,
            contender_cpus_idle: Ticks::share(of(&self.contender_cpus), |ticks| ticks.idle),
            other_cpus_idle: Ticks::share(of(&self.other_cpus), |ticks| ticks.idle),
            steal: all.share(|ticks| ticks.steal),
            foreign: (all.share(|ticks| ticks.busy) - known).max(0.0),
            load_1min: LoadAverage::current()
                .ok()
                .map(|load| rounded(f64::from(load.one), 100.0)),
            served: None,
            upstream_in_flight: None,
            timeline: self.timeline(first),
        }
    }

    fn timeline(&self, first: &Look) -> Timeline {
        let slices = || self.looks.windows(2);
        let used = |index: usize| {
            let used = slices().map(|look| {
                let cpu = (look[1].cpu[index] - look[0].cpu[index]).as_secs_f64();
                rounded(cpu / (look[1].at - look[0].at).as_secs_f64(), 1e3)
            });
            used.collect()
        };
        let at_ms = self
            .looks
            .iter()
            .map(|look| rounded((look.at - first.at).as_secs_f64() * 1e3, 10.0));
        Timeline {
            at_ms: at_ms.collect(),
            contender: used(0),
            generator: used(1),
            upstream: used(2),
            postgres: used(3),
            contender_rss_bytes: self
                .looks
                .iter()
                .skip(1)
                .map(|look| look.rss_bytes)
                .collect(),
        }
    }
}

/// To as many parts of one.
fn rounded(value: f64, parts: f64) -> f64 {
    (value * parts).round() / parts
}

/// Time of a processor, or of several, in ticks.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ticks {
    all: u64,
    idle: u64,
    /// The hypervisor's.
    pub steal: u64,
    /// Programs' and the kernel's on their behalf; interrupts are nobody's.
    pub busy: u64,
}

impl Ticks {
    /// From one look to another.
    pub fn between(begin: &CpuTime, end: &CpuTime) -> Self {
        let of = |get: fn(&CpuTime) -> u64| get(end).saturating_sub(get(begin));
        let idle = of(|cpu| cpu.idle + cpu.iowait.unwrap_or(0));
        let steal = of(|cpu| cpu.steal.unwrap_or(0));
        let busy = of(|cpu| cpu.user + cpu.nice + cpu.system);
        let interrupts = of(|cpu| cpu.irq.unwrap_or(0) + cpu.softirq.unwrap_or(0));
        Self {
            all: idle + steal + busy + interrupts,
            idle,
            steal,
            busy,
        }
    }

    /// A part of all of it, 0 to 1.
    pub fn share(self, part: impl Fn(&Self) -> u64) -> f64 {
        match self.all {
            0 => 0.0,
            all => part(&self) as f64 / all as f64,
        }
    }
}

impl std::iter::Sum for Ticks {
    fn sum<I: Iterator<Item = Self>>(ticks: I) -> Self {
        ticks.fold(Self::default(), |sum, ticks| Self {
            all: sum.all + ticks.all,
            idle: sum.idle + ticks.idle,
            steal: sum.steal + ticks.steal,
            busy: sum.busy + ticks.busy,
        })
    }
}
