//! The system's package managers, as root or through a `sudo` that asks no password.

use std::env;
use std::ffi::OsStr;
use std::fmt::{self, Display};
use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use nix::unistd::geteuid;

/// A package manager that has a PostgreSQL server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Manager {
    /// Its executable.
    program: &'static str,
    /// Shell script that installs the server and nothing that starts it.
    script: &'static str,
    /// What a person types for it, after `sudo` if need be.
    command: &'static str,
    /// Homebrew installs for its user, and refuses root.
    needs_root: bool,
}

/// On Debian and Ubuntu a server package makes and starts a cluster of its own, which nobody asked
/// for here. A drop-in of `postgresql-common` forbids it and is gone again after the installation.
const APT: &str = r#"
set -e
export DEBIAN_FRONTEND=noninteractive
folder=/etc/postgresql-common/createcluster.d
mkdir -p "$folder"
trap 'rm -f "$folder/suite.conf"; rmdir "$folder" 2>/dev/null || :' EXIT
trap 'exit 1' HUP INT TERM
echo 'create_main_cluster = false' >"$folder/suite.conf"
apt-get update
apt-get install -y --no-install-recommends postgresql
"#;

const MANAGERS: [Manager; 5] = [
    Manager {
        program: "apt-get",
        script: APT,
        command: "apt-get install postgresql",
        needs_root: true,
    },
    Manager {
        program: "dnf",
        script: "dnf install -y postgresql-server",
        command: "dnf install postgresql-server",
        needs_root: true,
    },
    Manager {
        program: "apk",
        script: "apk add --no-cache postgresql",
        command: "apk add postgresql",
        needs_root: true,
    },
    Manager {
        program: "pacman",
        script: "pacman -Sy --needed --noconfirm postgresql",
        command: "pacman -S postgresql",
        needs_root: true,
    },
    Manager {
        program: "brew",
        script: "brew install postgresql@18",
        command: "brew install postgresql@18",
        needs_root: false,
    },
];

impl Manager {
    /// The first package manager in `PATH`.
    pub(super) fn of_this_machine() -> Option<Self> {
        Self::in_path(env::var_os("PATH")?.as_os_str())
    }

    fn in_path(path: &OsStr) -> Option<Self> {
        let is_there = |manager: &Self| {
            env::split_paths(path).any(|folder| folder.join(manager.program).is_file())
        };
        MANAGERS.into_iter().find(is_there)
    }

    /// Installs the server, with what the manager prints in `log`. It is never killed half way,
    /// which could leave the system's packages broken.
    ///
    /// # Errors
    /// It would need a password, or fails.
    pub(super) fn install(&self, log: &Path) -> Result<()> {
        let root = geteuid().is_root();
        let mut command = match (self.needs_root, root) {
            (true, false) if !sudo_without_password() => {
                bail!("it needs root, and sudo a password")
            }
            (true, false) => {
                let mut sudo = Command::new("sudo");
                sudo.args(["-n", "sh"]);
                sudo
            }
            (false, true) => bail!("{} does not run as root", self.program),
            _ => Command::new("sh"),
        };
        let file = File::create(log).with_context(|| format!("writing {}", log.display()))?;
        command.args(["-c", self.script]).stdin(Stdio::null());
        command.stdout(file.try_clone()?).stderr(file);
        let status = command
            .status()
            .with_context(|| format!("running {}", self.program))?;
        if !status.success() {
            bail!("it failed ({status}): see {}", log.display());
        }
        Ok(())
    }
}

impl Display for Manager {
    /// The command that a person types.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sudo = if self.needs_root { "sudo " } else { "" };
        write!(formatter, "{sudo}{}", self.command)
    }
}

fn sudo_without_password() -> bool {
    let mut sudo = Command::new("sudo");
    sudo.args(["-n", "true"]).stdin(Stdio::null());
    sudo.stdout(Stdio::null()).stderr(Stdio::null());
    sudo.status().is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_package_manager_in_the_path_is_taken() {
        for manager in MANAGERS {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join(manager.program), "").unwrap();
            assert_eq!(Manager::in_path(folder.path().as_os_str()), Some(manager));
        }
        assert_eq!(Manager::in_path(OsStr::new("")), None);
    }

    #[test]
    fn a_person_is_told_the_whole_command() {
        assert_eq!(MANAGERS[0].to_string(), "sudo apt-get install postgresql");
        assert_eq!(MANAGERS[4].to_string(), "brew install postgresql@18");
    }
}
