//! The parties to a measurement as the system sees them, and what each has used so far.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use procfs::ProcError;
use procfs::process::{Process, Stat};
use rustix::process::Pid;

/// Somebody who takes part in a measurement.
#[derive(Clone, Debug)]
pub enum Party {
    /// A process, its descendants, and what else is in its process group.
    Processes(Processes),
    /// Threads of this process.
    Threads(BTreeSet<i32>),
}

/// A process and all that belongs to it, as it was when it was last looked for.
#[derive(Clone, Debug)]
pub struct Processes {
    root: i32,
    members: BTreeSet<i32>,
}

impl Party {
    /// The processes of this one.
    pub fn of_process(root: Pid) -> Self {
        let root = root.as_raw_nonzero().get();
        Self::Processes(Processes {
            root,
            members: BTreeSet::from([root]),
        })
    }

    /// These threads of this process.
    pub fn of_threads(threads: &[Pid]) -> Self {
        Self::Threads(
            threads
                .iter()
                .map(|thread| thread.as_raw_nonzero().get())
                .collect(),
        )
    }

    /// The threads that this process has now and had not before `start`.
    ///
    /// # Errors
    /// As `start`.
    pub fn started_by<T, E>(start: impl FnOnce() -> Result<T, E>) -> Result<(T, Self), E> {
        let before = own_threads();
        let started = start()?;
        let new = own_threads().difference(&before).copied().collect();
        Ok((started, Self::Threads(new)))
    }

    /// Looks for processes that came and went.
    pub fn look_around(&mut self, all: &[Stat]) {
        if let Self::Processes(processes) = self {
            processes.look_around(all);
        }
    }

    /// Processor time used so far. What ended without being waited for by its parent is missing.
    pub fn cpu(&self) -> Duration {
        match self {
            Self::Processes(processes) => processes.members.iter().filter_map(cpu_of_process).sum(),
            Self::Threads(threads) => threads.iter().filter_map(cpu_of_thread).sum(),
        }
    }

    /// Resident memory in bytes: shared pages count for each process; 0 for threads.
    pub fn rss_bytes(&self) -> u64 {
        let Self::Processes(processes) = self else {
            return 0;
        };
        let resident = processes
            .members
            .iter()
            .filter_map(|pid| Some(Process::new(*pid).ok()?.statm().ok()?.resident));
        resident.sum::<u64>() * procfs::page_size()
    }

    /// Open descriptors and threads of its processes now; none for threads.
    pub fn descriptors_and_threads(&self) -> (u64, u64) {
        let Self::Processes(processes) = self else {
            return (0, 0);
        };
        let of_process = |pid: &i32| {
            let process = Process::new(*pid).ok()?;
            let threads = u64::try_from(process.stat().ok()?.num_threads).ok()?;
            Some((process.fd_count().ok()? as u64, threads))
        };
        let all = processes.members.iter().filter_map(of_process);
        all.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
    }

    /// Its processes; none for threads.
    pub fn processes(&self) -> Vec<Pid> {
        match self {
            Self::Processes(processes) => {
                let members = processes.members.iter();
                members.filter_map(|pid| Pid::from_raw(*pid)).collect()
            }
            Self::Threads(_) => Vec::new(),
        }
    }

    /// Context switches so far, voluntary and not, of the threads that live.
    pub fn context_switches(&self) -> u64 {
        let of_threads = |pid: i32| Some(Process::new(pid).ok()?.tasks().ok()?.flatten());
        match self {
            Self::Processes(processes) => processes
                .members
                .iter()
                .filter_map(|pid| of_threads(*pid))
                .flatten()
                .filter_map(|task| switches(&task.status().ok()?))
                .sum(),
            Self::Threads(threads) => of_threads(own_pid())
                .into_iter()
                .flatten()
                .filter(|task| threads.contains(&task.tid))
                .filter_map(|task| switches(&task.status().ok()?))
                .sum(),
        }
    }
}

impl Processes {
    fn look_around(&mut self, all: &[Stat]) {
        self.members = BTreeSet::from([self.root]);
        // A parent may be listed after its children.
        loop {
            let before = self.members.len();
            for stat in all {
                if stat.pgrp == self.root || self.members.contains(&stat.ppid) {
                    self.members.insert(stat.pid);
                }
            }
            if self.members.len() == before {
                return;
            }
        }
    }
}

/// All processes of this machine.
pub fn all_processes() -> Vec<Stat> {
    let processes = procfs::process::all_processes();
    let stats = processes.into_iter().flatten().flatten();
    stats.filter_map(|process| process.stat().ok()).collect()
}

/// A process's clock, exact to the nanosecond, and the ticks of its children that ended.
fn cpu_of_process(pid: &i32) -> Option<Duration> {
    let clock = ClockId::pid_cpu_clock_id(nix::unistd::Pid::from_raw(*pid)).ok()?;
    let own = clock_gettime(clock).ok()?.into();
    let ended = match Process::new(*pid).and_then(|process| process.stat()) {
        Ok(stat) => u64::try_from(stat.cutime + stat.cstime).unwrap_or(0),
        Err(ProcError::NotFound(_)) => return None,
        Err(ProcError::Io(error, _)) if error.kind() == ErrorKind::NotFound => return None,
        Err(_) => 0,
    };
    let ticks =
        Duration::from_secs(1).checked_div(u32::try_from(procfs::ticks_per_second()).ok()?)?;
    Some(Duration::saturating_add(
        own,
        ticks * u32::try_from(ended).unwrap_or(u32::MAX),
    ))
}

/// A thread's clock (`clock_getcpuclockid(3)`; the kernel makes its number of the thread's id).
fn cpu_of_thread(thread: &i32) -> Option<Duration> {
    const PER_THREAD: i32 = 4;
    const SCHEDULED: i32 = 2;
    let clock = (!thread << 3) | PER_THREAD | SCHEDULED;
    clock_gettime(ClockId::from_raw(clock)).ok().map(Into::into)
}

fn own_pid() -> i32 {
    rustix::process::getpid().as_raw_nonzero().get()
}

fn own_threads() -> BTreeSet<i32> {
    let tasks = Process::myself().and_then(|process| process.tasks());
    let tasks = tasks.into_iter().flatten().flatten();
    tasks.map(|task| task.tid).collect()
}

fn switches(status: &procfs::process::Status) -> Option<u64> {
    Some(status.voluntary_ctxt_switches? + status.nonvoluntary_ctxt_switches?)
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};
    use std::thread;
    use std::time::Instant;

    use super::*;

    /// Keeps a processor busy for about this time.
    fn spin(time: Duration) {
        let begun = Instant::now();
        while begun.elapsed() < time {
            std::hint::spin_loop();
        }
    }

    #[test]
    fn a_thread_is_charged_with_what_it_did_and_not_with_what_others_did() {
        let (tell, told) = std::sync::mpsc::channel();
        let (thread, party) = Party::started_by(|| {
            let thread = thread::spawn(move || {
                spin(Duration::from_millis(50));
                tell.send(()).unwrap();
                thread::park();
            });
            Ok::<_, ()>(thread)
        })
        .unwrap();
        told.recv().unwrap();
        let used = party.cpu();
        spin(Duration::from_millis(100));
        assert!(used > Duration::from_millis(1), "{used:?}");
        assert!(party.cpu() - used < Duration::from_millis(20));
        assert!(party.context_switches() > 0);
        thread.thread().unpark();
        thread.join().unwrap();
    }

    #[test]
    fn a_process_is_charged_with_its_children_living_and_ended() {
        let work = "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done";
        let mut shell = Command::new("/bin/sh")
            .args([
                "-c",
                &format!("sh -c '{work}'; (sh -c '{work}; echo done; cat') ; :"),
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut party = Party::of_process(Pid::from_child(&shell));
        let mut line = String::new();
        let mut said = std::io::BufReader::new(shell.stdout.take().unwrap());
        std::io::BufRead::read_line(&mut said, &mut line).unwrap();
        let alone = party.cpu();
        party.look_around(&all_processes());
        let Party::Processes(processes) = &party else {
            unreachable!()
        };
        assert!(processes.members.len() >= 2, "{processes:?}");
        assert!(party.cpu() > alone);
        assert!(party.rss_bytes() > 0);
        drop(shell.stdin.take());
        shell.wait().unwrap();
        party.look_around(&all_processes());
        assert_eq!(party.cpu(), Duration::ZERO);
    }
}
