//! A few crates of the workspace as a workspace of their own: without tests and their dependencies,
//! and with a lockfile of the same versions.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use toml_edit::{Array, DocumentMut, TableLike};

use super::content::{Files, read_all, write};

const MANIFEST: &str = "Cargo.toml";
const LOCKFILE: &str = "Cargo.lock";

const LICENCES: [&str; 2] = ["LICENSE-APACHE", "LICENSE-MIT"];

/// The content of `.dockerignore`: the results of a build there are not sources.
const IGNORED: &str = "target\n";

/// Returns the files of a workspace of these members.
///
/// # Errors
/// A file cannot be read, a manifest is invalid, or Cargo finds no versions.
pub(super) fn reduced_to(suite: &Path, members: &[&str]) -> Result<Files> {
    let mut files = Files::new();
    let mut used = BTreeSet::new();
    for member in members {
        for (path, content) in read_all(&suite.join(member))? {
            if !path.starts_with("tests") {
                files.insert(Path::new(member).join(path), content);
            }
        }
        let path = Path::new(member).join(MANIFEST);
        let manifest = without_tests(&text(suite, &path)?, &mut used)
            .with_context(|| format!("in {}", path.display()))?;
        files.insert(path, manifest.into_bytes());
    }
    let root = text(suite, Path::new(MANIFEST))?;
    let root = with_members(&root, members, &used).context("in the workspace's Cargo.toml")?;
    files.insert(MANIFEST.into(), root.into_bytes());
    for licence in LICENCES {
        files.insert(
            licence.into(),
            text(suite, Path::new(licence))?.into_bytes(),
        );
    }
    files.insert(".dockerignore".into(), IGNORED.into());
    let lockfile = text(suite, Path::new(LOCKFILE))?;
    files.insert(LOCKFILE.into(), locked(&files, &lockfile)?);
    Ok(files)
}

fn text(suite: &Path, path: &Path) -> Result<String> {
    let path = suite.join(path);
    fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))
}

/// Removes the dependencies of tests from a crate's manifest, and adds the others to `used`.
fn without_tests(manifest: &str, used: &mut BTreeSet<String>) -> Result<String> {
    let mut document: DocumentMut = manifest.parse()?;
    document.remove("dev-dependencies");
    let dependencies = document
        .get("dependencies")
        .and_then(|item| item.as_table_like());
    let names = dependencies.into_iter().flat_map(TableLike::iter);
    used.extend(names.map(|(name, _)| name.to_owned()));
    Ok(document.to_string())
}

/// Reduces the root's manifest to these members and their dependencies.
fn with_members(manifest: &str, members: &[&str], used: &BTreeSet<String>) -> Result<String> {
    let mut document: DocumentMut = manifest.parse()?;
    document["workspace"]["members"] = Array::from_iter(members.iter().copied()).into();
    let dependencies = document["workspace"]["dependencies"]
        .as_table_like_mut()
        .context("it has no [workspace.dependencies]")?;
    let unused: Vec<String> = dependencies
        .iter()
        .map(|(name, _)| name.to_owned())
        .filter(|name| !used.contains(name))
        .collect();
    for name in unused {
        dependencies.remove(&name);
    }
    // The suite's own tests are built with it.
    if let Some(profiles) = document["profile"].as_table_like_mut() {
        profiles.remove("dev");
    }
    Ok(document.to_string())
}

/// Lets Cargo reduce the lockfile to the dependencies of these files. Cargo needs no registry: the
/// user has built the whole workspace.
fn locked(files: &Files, whole: &str) -> Result<Vec<u8>> {
    let folder = tempfile::tempdir().context("making a folder for the crates of the kit")?;
    for (path, content) in files {
        write(&folder.path().join(path), content)?;
    }
    let lockfile = folder.path().join(LOCKFILE);
    write(&lockfile, whole.as_bytes())?;
    let output = Command::new("cargo")
        .args(["update", "--workspace", "--offline"])
        .current_dir(folder.path())
        .output()
        .context("cargo cannot be run: install Rust with rustup, https://rustup.rs")?;
    ensure!(
        output.status.success(),
        "cargo cannot reduce the lockfile; build the workspace first, which downloads its crates:\n{}",
        String::from_utf8_lossy(&output.stderr).trim_end()
    );
    fs::read(&lockfile).with_context(|| format!("reading {}", lockfile.display()))
}
