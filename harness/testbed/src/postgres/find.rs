//! Finds the PostgreSQL servers of this machine, and takes the newest.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs};

use schema::limits::POSTGRES_MIN_MAJOR;

/// Folders of distributions and of Homebrew that hold `initdb` and `postgres` but are in nobody's
/// `PATH`. A `*` stands for what a folder's name goes on with.
const USUAL_FOLDERS: [&str; 7] = [
    "usr/lib/postgresql/*/bin",
    "usr/pgsql-*/bin",
    "usr/libexec/postgresql*",
    "usr/local/pgsql/bin",
    "opt/homebrew/opt/postgresql*/bin",
    "usr/local/opt/postgresql*/bin",
    "opt/local/lib/postgresql*/bin",
];

/// A PostgreSQL server's executables.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Server {
    /// Major version.
    pub major: u32,
    /// Version as the server says it, such as `17.2`.
    pub version: String,
    /// Folder with `initdb` and `postgres`.
    pub bin: PathBuf,
}

/// The newest server in `PATH`, of `pg_config`, in the usual folders, or among the builds unpacked
/// in `unpacked`, of at least the oldest major version the suite runs on.
pub fn newest(unpacked: &Path) -> Option<Server> {
    let path = env::var_os("PATH");
    let pg_config = output("pg_config", "--bindir").map(PathBuf::from);
    let folders = from_path(path.as_deref())
        .into_iter()
        .chain(pg_config)
        .chain(usual(Path::new("/")))
        .chain(matching(unpacked, "*/bin"));
    newest_of(folders)
}

/// The newest of the servers in these folders; of equals the first.
fn newest_of(folders: impl IntoIterator<Item = PathBuf>) -> Option<Server> {
    let mut seen: Vec<PathBuf> = Vec::new();
    let mut newest: Option<Server> = None;
    for folder in folders {
        let Some(bin) = home_of_postgres(&folder).filter(|bin| !seen.contains(bin)) else {
            continue;
        };
        seen.push(bin.clone());
        let Some(server) = server(bin) else { continue };
        let newer = newest
            .as_ref()
            .is_none_or(|known| server.major > known.major);
        if newer && server.major >= POSTGRES_MIN_MAJOR {
            newest = Some(server);
        }
    }
    newest
}

/// Where a folder's `postgres` really is: distributions link it alone into `/usr/bin`.
fn home_of_postgres(folder: &Path) -> Option<PathBuf> {
    let real = fs::canonicalize(folder.join("postgres")).ok()?;
    Some(real.parent()?.to_path_buf())
}

fn server(bin: PathBuf) -> Option<Server> {
    if !bin.join("initdb").is_file() {
        return None;
    }
    let printed = output(bin.join("postgres"), "--version")?;
    let (major, version) = parse_version(&printed)?;
    Some(Server {
        major,
        version,
        bin,
    })
}

/// Reads `postgres (PostgreSQL) 17.2 (Debian 17.2-1)`, `18beta1` and `19devel`.
fn parse_version(printed: &str) -> Option<(u32, String)> {
    let version = printed.split_whitespace().nth(2)?;
    let digits = version.split(|character: char| !character.is_ascii_digit());
    let major = digits.into_iter().next()?.parse().ok()?;
    Some((major, version.to_owned()))
}

fn from_path(path: Option<&OsStr>) -> Vec<PathBuf> {
    path.map(|path| env::split_paths(path).collect())
        .unwrap_or_default()
}

fn usual(root: &Path) -> Vec<PathBuf> {
    let matching = |pattern: &&str| matching(root, pattern);
    USUAL_FOLDERS.iter().flat_map(matching).collect()
}

/// The folders below `root` that a pattern of [`USUAL_FOLDERS`] names, in the order of their names.
fn matching(root: &Path, pattern: &str) -> Vec<PathBuf> {
    let mut folders = vec![root.to_path_buf()];
    for part in pattern.split('/') {
        folders = match part.strip_suffix('*') {
            None => folders.iter().map(|folder| folder.join(part)).collect(),
            Some(start) => folders
                .iter()
                .flat_map(|folder| starting_with(folder, start))
                .collect(),
        };
    }
    folders
}

fn starting_with(folder: &Path, start: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut found: Vec<PathBuf> = entries
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(start))
        .map(|entry| entry.path())
        .collect();
    found.sort();
    found
}

/// What a command prints, if it runs at all and succeeds.
fn output(program: impl AsRef<OsStr>, argument: &str) -> Option<String> {
    let mut command = Command::new(program);
    command.arg(argument).stdin(Stdio::null());
    let output = command.output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// A folder with an `initdb` and a `postgres` that prints this version.
    fn install(root: &Path, folder: &str, version: &str) -> PathBuf {
        let bin = root.join(folder);
        fs::create_dir_all(&bin).unwrap();
        fs::write(bin.join("initdb"), "").unwrap();
        // Written by another process: what this one has open for writing while another thread
        // forks cannot be run.
        let write =
            r#"printf '#!/bin/sh\necho "postgres (PostgreSQL) %s"\n' "$1" >"$0" && chmod +x "$0""#;
        let mut shell = Command::new("/bin/sh");
        shell
            .args(["-c", write])
            .arg(bin.join("postgres"))
            .arg(version);
        assert!(shell.status().unwrap().success());
        fs::canonicalize(bin).unwrap()
    }

    #[test]
    fn versions_of_every_form_are_read() {
        for (printed, major) in [
            ("postgres (PostgreSQL) 15.10 (Debian 15.10-0+deb12u1)", 15),
            ("postgres (PostgreSQL) 18beta1", 18),
            ("postgres (PostgreSQL) 19devel", 19),
            ("postgres (PostgreSQL) 9.6.24", 9),
        ] {
            assert_eq!(parse_version(printed).unwrap().0, major, "{printed}");
        }
        for printed in ["", "postgres", "postgres (PostgreSQL) next"] {
            assert_eq!(parse_version(printed), None, "{printed}");
        }
    }

    #[test]
    fn the_newest_of_the_usual_folders_is_taken() {
        let root = tempfile::tempdir().unwrap();
        install(root.path(), "usr/lib/postgresql/9.6/bin", "9.6.24");
        install(root.path(), "usr/lib/postgresql/15/bin", "15.1");
        let bin = install(root.path(), "opt/homebrew/opt/postgresql@17/bin", "17.2");
        install(root.path(), "usr/pgsql-16/bin", "16.3 (Red Hat)");
        let found = newest_of(usual(root.path())).unwrap();
        let version = "17.2".to_owned();
        assert_eq!(
            found,
            Server {
                major: 17,
                version,
                bin
            }
        );
    }

    #[test]
    fn of_equal_versions_the_first_is_taken() {
        let root = tempfile::tempdir().unwrap();
        let first = install(root.path(), "b", "16.1");
        let second = install(root.path(), "a", "16.2");
        let found = newest_of([first.clone(), second]).unwrap();
        assert_eq!(found.bin, first);
    }

    #[test]
    fn a_link_in_the_path_leads_to_its_server() {
        let root = tempfile::tempdir().unwrap();
        let bin = install(root.path(), "real", "16.1");
        let path = root.path().join("path");
        fs::create_dir(&path).unwrap();
        symlink(bin.join("postgres"), path.join("postgres")).unwrap();
        let found = newest_of(from_path(Some(path.as_os_str()))).unwrap();
        assert_eq!(found.bin, bin);
    }

    #[test]
    fn servers_too_old_broken_or_without_initdb_are_none() {
        let root = tempfile::tempdir().unwrap();
        let old = install(root.path(), "old", "13.18");
        let mute = install(root.path(), "mute", "");
        let incomplete = install(root.path(), "incomplete", "17.0");
        fs::remove_file(incomplete.join("initdb")).unwrap();
        let missing = root.path().join("missing");
        assert_eq!(newest_of([old, mute, incomplete, missing]), None);
    }
}
