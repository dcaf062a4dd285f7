//! The machine and the versions that a run records.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, Stdio};

use procfs::{CpuInfo, Current, Meminfo};
use rustix::system::uname;

use crate::record::Machine;

/// The frequency governor of the first CPU.
const GOVERNOR: &str = "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor";

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
    fn missing_program_has_no_output() {
        assert_eq!(first_line("no-such-program", &[]), None);
        assert_eq!(first_line("echo", &["a", "b"]).as_deref(), Some("a b"));
    }
}
