//! The machine and the versions that a run records.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use procfs::process::Process;
use procfs::{CpuInfo, Current, Meminfo};
use rustix::system::uname;

use crate::record::Machine;

/// The frequency governor of the first CPU.
const GOVERNOR: &str = "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor";

/// Where control groups are mounted.
const CGROUPS: &str = "/sys/fs/cgroup";

/// Returns the description of this machine.
#[must_use]
pub fn machine() -> Machine {
    let uname = uname();
    let info = CpuInfo::current().ok();
    let first = info.as_ref();
    let cpu = first.and_then(|info| info.model_name(0));
    let flags = first.and_then(|info| info.flags(0)).unwrap_or_default();
    let virtualisation = match first_line("systemd-detect-virt", &["--vm"]) {
        Some(name) if name != "none" => Some(name),
        _ if flags.contains(&"hypervisor") => Some("a hypervisor".to_owned()),
        other => other,
    };
    let governor = fs::read_to_string(GOVERNOR).ok();
    Machine {
        host: uname.nodename().to_string_lossy().into_owned(),
        cpu: cpu.unwrap_or("unknown").to_owned(),
        cores: first.map(CpuInfo::num_cores),
        kernel: format!(
            "{} {}",
            uname.sysname().to_string_lossy(),
            uname.release().to_string_lossy()
        ),
        governor: governor.map(|governor| governor.trim().to_owned()),
        memory_bytes: Meminfo::current().ok().map(|memory| memory.mem_total),
        virtualisation,
    }
}

/// Returns the CPUs that the control groups of this process grant: the smallest quota of all that
/// contain it, in either version of the interface (cgroups(7)); none without a quota.
#[must_use]
pub fn cpu_quota() -> Option<f64> {
    let groups = Process::myself().and_then(|process| process.cgroups());
    let quotas = groups.into_iter().flatten().flat_map(|group| {
        let is_first_version = group.controllers.iter().any(|name| name == "cpu");
        let root = if is_first_version { "cpu" } else { "" };
        let path = PathBuf::from(group.pathname.trim_start_matches('/'));
        let folders = path
            .ancestors()
            .map(|path| Path::new(CGROUPS).join(root).join(path));
        folders
            .filter_map(|folder| quota(&folder))
            .collect::<Vec<_>>()
    });
    quotas.min_by(f64::total_cmp)
}

fn quota(folder: &Path) -> Option<f64> {
    let read = |name: &str| fs::read_to_string(folder.join(name)).ok();
    let text = read("cpu.max").or_else(|| {
        let quota = read("cpu.cfs_quota_us")?;
        Some(quota + " " + &read("cpu.cfs_period_us")?)
    })?;
    // `max` or -1 is no quota.
    let mut numbers = text.split_whitespace().map(str::parse::<f64>);
    let (quota, period) = (numbers.next()?.ok()?, numbers.next()?.ok()?);
    (quota > 0.0).then_some(quota / period)
}

/// Returns the commit of the checkout that the harness runs in, with `-dirty` if it was changed;
/// none outside a checkout.
#[must_use]
pub fn commit() -> Option<String> {
    let commit = first_line("git", &["rev-parse", "--short=12", "HEAD"])?;
    let changed = first_line("git", &["status", "--porcelain", "--untracked-files=no"]);
    Some(match changed {
        Some(_) => format!("{commit}-dirty"),
        None => commit,
    })
}

/// Returns the versions of the tools of a run, by name.
#[must_use]
pub fn versions(engine: &str, engine_version: &str, postgres: &str) -> BTreeMap<String, String> {
    let versions = [
        ("harness", env!("CARGO_PKG_VERSION")),
        (engine, engine_version),
        ("postgres", postgres),
    ];
    versions
        .map(|(name, version)| (name.to_owned(), version.to_owned()))
        .into()
}

/// Returns the first line of a command's output; none if there is no output or no such command.
fn first_line(program: &str, arguments: &[&str]) -> Option<String> {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stderr(Stdio::null());
    let text = String::from_utf8(command.output().ok()?.stdout).ok()?;
    let line = text.lines().next()?.trim();
    (!line.is_empty()).then(|| line.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machine_has_cpus_memory_and_a_kernel() {
        let machine = machine();
        assert!(machine.cores.unwrap() >= 1);
        assert!(machine.memory_bytes.unwrap() > 1 << 20);
        assert!(machine.kernel.starts_with("Linux "), "{}", machine.kernel);
        assert!(!machine.cpu.is_empty() && !machine.host.is_empty());
    }

    #[test]
    fn quota_is_read_in_either_version() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        assert_eq!(quota(folder.path()), None);
        write("cpu.cfs_quota_us", "-1\n");
        write("cpu.cfs_period_us", "100000\n");
        assert_eq!(quota(folder.path()), None);
        write("cpu.cfs_quota_us", "150000\n");
        assert_eq!(quota(folder.path()), Some(1.5));
        write("cpu.max", "50000 100000\n");
        assert_eq!(quota(folder.path()), Some(0.5));
        write("cpu.max", "max 100000\n");
        assert_eq!(quota(folder.path()), None);
    }

    #[test]
    fn missing_program_has_no_output() {
        assert_eq!(first_line("no-such-program", &[]), None);
        assert_eq!(first_line("echo", &["a", "b"]).as_deref(), Some("a b"));
    }
}
