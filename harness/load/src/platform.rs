//! What is told of the machine and of the versions that were measured.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, Stdio};

use procfs::{CpuInfo, Current, Meminfo};
use rustix::system::uname;

use super::record::Machine;

/// Where the kernel says how it chooses the processor's frequency.
const GOVERNOR: &str = "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor";

/// This machine.
pub fn machine() -> Machine {
    let uname = uname();
    let info = CpuInfo::current().ok();
    let cpu = info
        .as_ref()
        .and_then(|info| info.model_name(0))
        .unwrap_or("unknown");
    let is_guest = info
        .as_ref()
        .and_then(|info| info.flags(0))
        .is_some_and(|flags| flags.contains(&"hypervisor"));
    let named = first_line("systemd-detect-virt", &["--vm"]);
    let virtualisation = match named.as_deref() {
        None | Some("none") if is_guest => Some("a hypervisor".to_owned()),
        _ => named,
    };
    Machine {
        host: uname.nodename().to_string_lossy().into_owned(),
        cpu: cpu.to_owned(),
        cores: info.map(|info| info.num_cores()),
        kernel: format!(
            "{} {}",
            uname.sysname().to_string_lossy(),
            uname.release().to_string_lossy()
        ),
        governor: governor(),
        memory_bytes: Meminfo::current().ok().map(|memory| memory.mem_total),
        virtualisation,
    }
}

/// How the kernel chooses the processors' frequency, if it tells.
pub fn governor() -> Option<String> {
    let governor = fs::read_to_string(GOVERNOR).ok()?;
    Some(governor.trim().to_owned())
}

/// Commit of the checkout that the harness runs in, marked if it was changed; none if there is none.
pub fn commit() -> Option<String> {
    let commit = first_line("git", &["rev-parse", "--short=12", "HEAD"])?;
    let changed = first_line("git", &["status", "--porcelain", "--untracked-files=no"]);
    Some(match changed {
        Some(_) => format!("{commit}-dirty"),
        None => commit,
    })
}

/// The versions of what is measured with, by name.
pub fn versions(engine: &str, engine_version: &str, postgres: &str) -> BTreeMap<String, String> {
    let versions = [
        ("harness", env!("CARGO_PKG_VERSION")),
        (engine, engine_version),
        ("postgres", postgres),
    ];
    versions
        .into_iter()
        .map(|(name, version)| (name.to_owned(), version.to_owned()))
        .collect()
}

/// First line that a command says; none if it says nothing, fails, or is not there.
pub fn first_line(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let line = text.lines().next()?.trim();
    (!line.is_empty()).then(|| line.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_has_a_processor_memory_and_a_kernel() {
        let machine = machine();
        assert!(machine.cores.unwrap() >= 1);
        assert!(machine.memory_bytes.unwrap() > 1 << 20);
        assert!(machine.kernel.starts_with("Linux "), "{}", machine.kernel);
        assert!(!machine.cpu.is_empty() && !machine.host.is_empty());
    }

    #[test]
    fn a_program_that_is_not_there_says_nothing() {
        assert_eq!(first_line("no-such-program", &[]), None);
        assert_eq!(first_line("echo", &["a", "b"]).as_deref(), Some("a b"));
    }
}
