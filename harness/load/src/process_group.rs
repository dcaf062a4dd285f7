//! The processes or threads that take part in a measurement, and the resources that they have used.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use procfs::ProcError;
use procfs::process::{Process, Stat, Status};
use rustix::process::{Pid, getpid};

/// A group whose resource usage is sampled.
#[derive(Clone, Debug)]
pub enum ProcessGroup {
    /// A process, its descendants and its process group, as of the last refresh.
    Processes { root: i32, members: BTreeSet<i32> },
    /// Threads of this process.
    Threads(BTreeSet<i32>),
}

impl ProcessGroup {
    /// Creates the group of a process.
    #[must_use]
    pub fn of_process(root: Pid) -> Self {
        let root = root.as_raw_pid();
        let members = BTreeSet::from([root]);
        Self::Processes { root, members }
    }

    /// Creates a group of threads of this process.
    #[must_use]
    pub fn of_threads(threads: &[Pid]) -> Self {
        Self::Threads(threads.iter().map(|thread| thread.as_raw_pid()).collect())
    }

    /// Calls `start` and returns the threads of this process that it started.
    ///
    /// # Errors
    /// Those of `start`.
    pub(crate) fn started_by<T, E>(start: impl FnOnce() -> Result<T, E>) -> Result<(T, Self), E> {
        let before = own_threads();
        let started = start()?;
        let new = own_threads().difference(&before).copied().collect();
        Ok((started, Self::Threads(new)))
    }

    /// Updates its members from all processes of the machine.
    pub fn refresh(&mut self, all: &[Stat]) {
        let Self::Processes { root, members } = self else {
            return;
        };
        *members = BTreeSet::from([*root]);
        // A parent may be listed after its children.
        loop {
            let before = members.len();
            for stat in all {
                if stat.pgrp == *root || members.contains(&stat.ppid) {
                    members.insert(stat.pid);
                }
            }
            if members.len() == before {
                return;
            }
        }
    }

    /// Returns its processes; none for threads.
    #[must_use]
    pub fn processes(&self) -> Vec<Pid> {
        self.members().filter_map(Pid::from_raw).collect()
    }

    fn members(&self) -> impl Iterator<Item = i32> {
        let members = match self {
            Self::Processes { members, .. } => Some(members),
            Self::Threads(_) => None,
        };
        members.into_iter().flatten().copied()
    }

    /// Returns the CPU time used so far, without that of children that ended unawaited.
    #[must_use]
    pub fn cpu_time(&self) -> Duration {
        match self {
            Self::Processes { members, .. } => members.iter().filter_map(process_cpu_time).sum(),
            Self::Threads(threads) => threads.iter().filter_map(thread_cpu_time).sum(),
        }
    }

    /// Returns the resident memory in bytes: shared pages count for each process; 0 for threads.
    #[must_use]
    pub fn rss_bytes(&self) -> u64 {
        let resident = |pid| Some(Process::new(pid).ok()?.statm().ok()?.resident);
        self.members().filter_map(resident).sum::<u64>() * procfs::page_size()
    }

    /// Returns the number of open descriptors and of threads; 0 for threads.
    #[must_use]
    pub fn descriptors_and_threads(&self) -> (u64, u64) {
        let of_process = |pid| {
            let process = Process::new(pid).ok()?;
            let threads = u64::try_from(process.stat().ok()?.num_threads).ok()?;
            Some((process.fd_count().ok()? as u64, threads))
        };
        let all = self.members().filter_map(of_process);
        all.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
    }

    /// Returns the context switches so far, voluntary and not, of its living threads.
    pub(crate) fn context_switches(&self) -> u64 {
        let tasks = |pid: i32| {
            let tasks = Process::new(pid).and_then(|process| process.tasks());
            tasks.into_iter().flatten().flatten()
        };
        let switches = |status: Status| {
            Some(status.voluntary_ctxt_switches? + status.nonvoluntary_ctxt_switches?)
        };
        let of_task = |task: procfs::process::Task| switches(task.status().ok()?);
        match self {
            Self::Processes { members, .. } => {
                let tasks = members.iter().flat_map(|pid| tasks(*pid));
                tasks.filter_map(of_task).sum()
            }
            Self::Threads(threads) => {
                let tasks = tasks(getpid().as_raw_pid());
                let members = tasks.filter(|task| threads.contains(&task.tid));
                members.filter_map(of_task).sum()
            }
        }
    }
}

/// Returns all processes of this machine.
#[must_use]
pub fn all_processes() -> Vec<Stat> {
    let processes = procfs::process::all_processes();
    let stats = processes.into_iter().flatten().flatten();
    stats.filter_map(|process| process.stat().ok()).collect()
}

/// Returns the process's clock, which is exact, and the ticks of its awaited children.
fn process_cpu_time(pid: &i32) -> Option<Duration> {
    let clock = ClockId::pid_cpu_clock_id(nix::unistd::Pid::from_raw(*pid)).ok()?;
    let own: Duration = clock_gettime(clock).ok()?.into();
    let children = match Process::new(*pid).and_then(|process| process.stat()) {
        Ok(stat) => u32::try_from(stat.cutime + stat.cstime).unwrap_or(0),
        Err(ProcError::NotFound(_)) => return None,
        Err(ProcError::Io(error, _)) if error.kind() == ErrorKind::NotFound => return None,
        Err(_) => 0,
    };
    let ticks_per_second = u32::try_from(procfs::ticks_per_second()).ok()?;
    let tick = Duration::from_secs(1).checked_div(ticks_per_second)?;
    Some(own.saturating_add(tick * children))
}

/// Returns a thread's clock: the kernel derives its number from the thread's id
/// (`CPUCLOCK_PERTHREAD_MASK` and `CPUCLOCK_SCHED` in `linux/posix-timers.h`).
fn thread_cpu_time(thread: &i32) -> Option<Duration> {
    const PER_THREAD: i32 = 4;
    const SCHEDULED: i32 = 2;
    let clock = (!thread << 3) | PER_THREAD | SCHEDULED;
    clock_gettime(ClockId::from_raw(clock)).ok().map(Into::into)
}

fn own_threads() -> BTreeSet<i32> {
    let tasks = Process::myself().and_then(|process| process.tasks());
    let tasks = tasks.into_iter().flatten().flatten();
    tasks.map(|task| task.tid).collect()
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};
    use std::sync::mpsc;
    use std::thread;
    use std::time::Instant;

    use super::*;

    fn spin(time: Duration) {
        let begin = Instant::now();
        while begin.elapsed() < time {
            std::hint::spin_loop();
        }
    }

    #[test]
    fn thread_is_charged_with_its_own_work_alone() {
        let (sender, receiver) = mpsc::channel();
        let (thread, group) = ProcessGroup::started_by(|| {
            let thread = thread::spawn(move || {
                spin(Duration::from_millis(50));
                sender.send(()).unwrap();
                thread::park();
            });
            Ok::<_, ()>(thread)
        })
        .unwrap();
        receiver.recv().unwrap();
        let used = group.cpu_time();
        spin(Duration::from_millis(100));
        assert!(used > Duration::from_millis(1), "{used:?}");
        assert!(group.cpu_time() - used < Duration::from_millis(20));
        assert!(group.context_switches() > 0);
        thread.thread().unpark();
        thread.join().unwrap();
    }

    #[test]
    fn process_is_charged_with_its_living_and_ended_children() {
        let work = "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done";
        let script = format!("sh -c '{work}'; (sh -c '{work}; echo done; cat') ; :");
        let mut shell = Command::new("/bin/sh")
            .args(["-c", &script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut group = ProcessGroup::of_process(Pid::from_child(&shell));
        let mut line = String::new();
        let mut output = BufReader::new(shell.stdout.take().unwrap());
        output.read_line(&mut line).unwrap();
        let alone = group.cpu_time();
        group.refresh(&all_processes());
        assert!(group.processes().len() >= 2, "{group:?}");
        assert!(group.cpu_time() > alone);
        assert!(group.rss_bytes() > 0);
        drop(shell.stdin.take());
        shell.wait().unwrap();
        group.refresh(&all_processes());
        assert_eq!(group.cpu_time(), Duration::ZERO);
    }
}
