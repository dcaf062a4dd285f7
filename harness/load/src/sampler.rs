//! Samples the resource usage of all process groups while an engine runs, ten times a second.

use std::array;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::Result;
use procfs::{CpuTime, Current, CurrentSI, KernelStats, LoadAverage};
use rustix::process::Pid;

use crate::process_group::{ProcessGroup, all_processes};
use crate::record::{ResourceUsage, Usage};
use testbed::interrupt::Interrupt;

/// Time between two samples.
const INTERVAL: Duration = Duration::from_millis(100);

/// Samples between two refreshes of the groups: a refresh reads all of `/proc`.
const SAMPLES_PER_REFRESH: usize = 10;

/// Indices of the groups in arrays of all of them.
const CONTENDER: usize = 0;
const GENERATOR: usize = 1;
const UPSTREAM: usize = 2;
const POSTGRES: usize = 3;
const GROUPS: usize = 4;

/// The load generator as the system sees it.
#[derive(Clone, Debug)]
pub(crate) enum Generator {
    /// A process and all its descendants.
    Process(Pid),
    /// Threads of this process, alive until the measured time has ended.
    Threads(Vec<Pid>),
}

/// The groups beside the load generator, and the CPUs of all.
#[derive(Clone, Debug)]
pub(crate) struct Scene {
    pub(crate) contender: ProcessGroup,
    pub(crate) upstream: ProcessGroup,
    pub(crate) postgres: ProcessGroup,
    pub(crate) contender_cpus: Vec<usize>,
    pub(crate) other_cpus: Vec<usize>,
}

/// Samples between the begin and the end of the measured time, which the engine tells.
#[derive(Debug)]
pub struct Sampler<'a> {
    interrupt: &'a Interrupt,
    /// None if nothing is sampled.
    groups: Option<[ProcessGroup; GROUPS]>,
    contender_cpus: Vec<usize>,
    other_cpus: Vec<usize>,
    samples: Vec<Sample>,
    /// At both ends of the measured time.
    snapshots: Vec<Snapshot>,
}

#[derive(Debug)]
struct Sample {
    at: Instant,
    cpu: [Duration; GROUPS],
    rss_bytes: u64,
}

/// The counters that cost more than a sample may.
#[derive(Debug)]
struct Snapshot {
    context_switches: [u64; GROUPS],
    /// By CPU.
    machine: Vec<CpuTime>,
}

impl<'a> Sampler<'a> {
    /// Creates a sampler that samples nothing, for an engine on its own.
    #[must_use]
    pub fn disabled(interrupt: &'a Interrupt) -> Self {
        Self {
            interrupt,
            groups: None,
            contender_cpus: Vec::new(),
            other_cpus: Vec::new(),
            samples: Vec::new(),
            snapshots: Vec::new(),
        }
    }

    /// Creates a sampler of these groups, and of the load generator once it has begun.
    pub(crate) fn new(scene: Scene, interrupt: &'a Interrupt) -> Self {
        let generator = ProcessGroup::of_threads(&[]);
        Self {
            groups: Some([scene.contender, generator, scene.upstream, scene.postgres]),
            contender_cpus: scene.contender_cpus,
            other_cpus: scene.other_cpus,
            ..Self::disabled(interrupt)
        }
    }

    /// Begins the measured time.
    pub(crate) fn begin(&mut self, generator: Generator) {
        if let Some(groups) = &mut self.groups {
            groups[GENERATOR] = match generator {
                Generator::Process(pid) => ProcessGroup::of_process(pid),
                Generator::Threads(threads) => ProcessGroup::of_threads(&threads),
            };
        }
        self.snapshot();
        self.sample();
    }

    /// Samples until `end`.
    ///
    /// # Errors
    /// The process is interrupted.
    pub(crate) fn until(&mut self, end: Instant) -> Result<()> {
        loop {
            self.interrupt.check()?;
            let now = Instant::now();
            let next = match self.samples.last() {
                Some(last) if now >= last.at + INTERVAL => {
                    self.sample();
                    continue;
                }
                Some(last) => last.at + INTERVAL,
                None => now + INTERVAL,
            };
            if now >= end {
                return Ok(());
            }
            sleep(end.min(next).saturating_duration_since(now));
        }
    }

    /// Ends the measured time.
    pub(crate) fn end(&mut self) {
        self.sample();
        self.snapshot();
    }

    fn sample(&mut self) {
        let Some(groups) = &mut self.groups else {
            return;
        };
        if self.samples.len().is_multiple_of(SAMPLES_PER_REFRESH) {
            refresh(groups);
        }
        let last = self.samples.last();
        let last = last.map_or([Duration::ZERO; GROUPS], |sample| sample.cpu);
        self.samples.push(Sample {
            at: Instant::now(),
            // Never less than before: the time of an ended process may be lost.
            cpu: array::from_fn(|group| groups[group].cpu_time().max(last[group])),
            rss_bytes: groups[CONTENDER].rss_bytes(),
        });
    }

    fn snapshot(&mut self) {
        let Some(groups) = &mut self.groups else {
            return;
        };
        refresh(groups);
        self.snapshots.push(Snapshot {
            context_switches: array::from_fn(|group| groups[group].context_switches()),
            machine: KernelStats::current().map_or_else(|_| Vec::new(), |stats| stats.cpu_time),
        });
    }

    /// Returns the usage within the measured time; that of nothing if nothing was sampled.
    pub(crate) fn usage(&self) -> ResourceUsage {
        let ([first, .., last], [begin, end]) = (&*self.samples, &*self.snapshots) else {
            return ResourceUsage::default();
        };
        let cpu_secs = |group: usize| (last.cpu[group] - first.cpu[group]).as_secs_f64();
        let usage = |group: usize| {
            let switches = [begin, end].map(|snapshot| snapshot.context_switches[group]);
            Usage {
                cpu_secs: cpu_secs(group),
                context_switches: switches[1].saturating_sub(switches[0]),
                ..Usage::default()
            }
        };
        let rss_bytes = || self.samples.iter().map(|sample| sample.rss_bytes);
        let contender = Usage {
            rss_peak_bytes: rss_bytes().max(),
            rss_mean_bytes: Some(rss_bytes().sum::<u64>() / self.samples.len() as u64),
            ..usage(CONTENDER)
        };
        let cpus = begin.machine.iter().zip(&end.machine);
        let cpus: Vec<Ticks> = cpus
            .map(|(begin, end)| Ticks::between(begin, end))
            .collect();
        let all = Ticks::sum(&cpus, 0..cpus.len());
        let idle = |numbers: &[usize]| {
            let ticks = Ticks::sum(&cpus, numbers.iter().copied());
            ticks.share(ticks.idle)
        };
        let sampled_secs: f64 = (0..GROUPS).map(cpu_secs).sum();
        let machine_secs = (last.at - first.at).as_secs_f64() * cpus.len() as f64;
        let load_average = LoadAverage::current().ok();
        ResourceUsage {
            contender,
            generator: usage(GENERATOR),
            upstream: usage(UPSTREAM),
            postgres: usage(POSTGRES),
            contender_cpus_idle: idle(&self.contender_cpus),
            other_cpus_idle: idle(&self.other_cpus),
            steal: all.share(all.steal),
            foreign: (all.share(all.busy) - sampled_secs / machine_secs).max(0.0),
            load_1min: load_average.map(|load| f64::from(load.one)),
            ..ResourceUsage::default()
        }
    }
}

fn refresh(groups: &mut [ProcessGroup]) {
    let all = all_processes();
    for group in groups {
        group.refresh(&all);
    }
}

/// Time of one or several CPUs, in ticks.
#[derive(Clone, Copy, Debug, Default)]
struct Ticks {
    all: u64,
    idle: u64,
    /// Time that the hypervisor gave to other machines.
    steal: u64,
    /// Time of programs, and of the kernel on their behalf, without interrupts.
    busy: u64,
}

impl Ticks {
    fn between(begin: &CpuTime, end: &CpuTime) -> Self {
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

    fn sum(cpus: &[Self], numbers: impl IntoIterator<Item = usize>) -> Self {
        let cpus = numbers.into_iter().filter_map(|number| cpus.get(number));
        cpus.fold(Self::default(), |sum, cpu| Self {
            all: sum.all + cpu.all,
            idle: sum.idle + cpu.idle,
            steal: sum.steal + cpu.steal,
            busy: sum.busy + cpu.busy,
        })
    }

    /// Returns a part of all ticks as a share, 0 to 1.
    fn share(self, part: u64) -> f64 {
        match self.all {
            0 => 0.0,
            all => part as f64 / all as f64,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::mpsc;
    use std::thread;

    use rustix::thread::gettid;

    use super::*;

    /// Samples for 300 ms while so many threads, as those of an engine, use all the time they get.
    fn sample(threads: usize) -> ResourceUsage {
        let mut idle = Command::new("sleep");
        let mut idle = idle.arg("60").stdin(Stdio::null()).spawn().unwrap();
        let scene = Scene {
            contender: ProcessGroup::of_process(Pid::from_child(&idle)),
            upstream: ProcessGroup::of_threads(&[]),
            postgres: ProcessGroup::of_threads(&[]),
            contender_cpus: vec![0],
            other_cpus: vec![1],
        };
        let never = Interrupt::never();
        let mut sampler = Sampler::new(scene, &never);
        let (sender, receiver) = mpsc::channel();
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    sender.send(gettid()).unwrap();
                    while !done.load(Ordering::Relaxed) {
                        std::hint::spin_loop();
                    }
                });
            }
            sampler.begin(Generator::Threads(receiver.iter().take(threads).collect()));
            sampler
                .until(Instant::now() + Duration::from_millis(300))
                .unwrap();
            sampler.end();
            done.store(true, Ordering::Relaxed);
        });
        idle.kill().unwrap();
        idle.wait().unwrap();
        sampler.usage()
    }

    #[test]
    fn busy_generator_and_idle_contender_are_told_apart() {
        // More threads than CPUs, so that other tests cannot take all of the time away.
        let busy = sample(32);
        assert!(busy.generator.cpu_secs > busy.contender.cpu_secs);
        assert!(busy.contender.rss_peak_bytes > Some(0));
        assert!(sample(0).generator.cpu_secs == 0.0);
    }

    #[test]
    fn disabled_sampler_has_no_usage_and_stops_when_interrupted() {
        let interrupt = Interrupt::set();
        let mut sampler = Sampler::disabled(&interrupt);
        sampler.begin(Generator::Threads(Vec::new()));
        let error = sampler.until(Instant::now() + Duration::from_secs(3600));
        assert_eq!(error.unwrap_err().to_string(), "interrupted");
        sampler.end();
        assert_eq!(sampler.usage(), ResourceUsage::default());
    }
}
