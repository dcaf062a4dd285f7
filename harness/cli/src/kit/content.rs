//! The files that make our contender and our upstream part of a checkout of the public harness:
//! some are kept in `kit/`, the crates are copied from this workspace.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use schema::env;

use super::edit::{self, Edit};
use super::workspace;

/// Files by their paths in a folder.
pub(super) type Files = BTreeMap<PathBuf, Vec<u8>>;

/// Files of the kit, at their places in a checkout.
const FOLDER: &str = "kit/api-benchmarks/checkout";

/// Lines of the kit in files that the checkout has already.
const EDITS: &str = "kit/api-benchmarks/edits.toml";

/// The contenders, and the value of `PROFILE` that tells them apart: both are the same program. A
/// file whose path has `@CONTENDER@` is written once for each.
const CONTENDERS: [(&str, &str); 2] = [("axum", "idiomatic"), ("axum-tuned", "tuned")];

/// Folder of the contenders in a checkout, and their crates.
const CONTENDER: (&str, &[&str]) = ("services/axum", &["schema", "serve", "target-axum"]);

/// Folder of the upstream, which a checkout has already, and its crates.
pub(super) const UPSTREAM: (&str, &[&str]) =
    ("services/upstream", &["schema", "serve", "upstream"]);

/// The kit of one state of the suite.
pub(super) struct Kit {
    /// Files that a checkout does not have.
    pub(super) contender: Files,
    /// Files that replace everything in the folder of the checkout's upstream.
    pub(super) upstream: Files,
    pub(super) edits: Vec<Edit>,
}

impl Kit {
    /// Generates the kit from the checkout of the suite in `suite`.
    ///
    /// # Errors
    /// A file of the suite cannot be read, or Cargo cannot reduce the lockfile.
    pub(super) fn generate(suite: &Path) -> Result<Self> {
        let kept = with_values(read_all(&suite.join(FOLDER))?)?;
        let is_upstream = |path: &Path| path.starts_with(UPSTREAM.0);
        let (mut upstream, mut contender): (Files, Files) =
            kept.into_iter().partition(|(path, _)| is_upstream(path));
        for ((folder, members), files) in [(CONTENDER, &mut contender), (UPSTREAM, &mut upstream)] {
            for (path, content) in workspace::reduced_to(suite, members)? {
                files.insert(Path::new(folder).join(path), content);
            }
        }
        let path = suite.join(EDITS);
        let edits =
            fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        let edits = edit::parse(&edits).with_context(|| format!("in {}", path.display()))?;
        Ok(Self {
            contender,
            upstream,
            edits,
        })
    }
}

/// Replaces the contract's names and the profiles' between `@` by their values.
fn with_values(files: Files) -> Result<Files> {
    let mut replaced = Files::new();
    for (path, content) in files {
        let mut text = String::from_utf8(content)
            .with_context(|| format!("{} is not UTF-8", path.display()))?;
        for (name, value) in env::bench() {
            text = text.replace(&format!("@{name}@"), value);
        }
        for (contender, profile) in CONTENDERS {
            let path = path.to_string_lossy().replace("@CONTENDER@", contender);
            let text = text.replace("@CONTENDER@", contender);
            let text = text.replace("@PROFILE@", profile);
            replaced.insert(path.into(), text.into_bytes());
        }
    }
    Ok(replaced)
}

/// Reads every file below a folder.
pub(super) fn read_all(folder: &Path) -> Result<Files> {
    let mut files = Files::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(inner) = folders.pop() {
        let reading = || format!("reading {}", inner.display());
        for entry in fs::read_dir(&inner).with_context(reading)? {
            let path = entry.with_context(reading)?.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let content = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
            let inside = path.strip_prefix(folder).expect("it was listed from there");
            files.insert(inside.to_owned(), content);
        }
    }
    Ok(files)
}

/// Writes a file and the folders that it is in.
pub(super) fn write(path: &Path, content: &[u8]) -> Result<()> {
    let folder = path.parent().expect("a file is in a folder");
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(path, content))
        .with_context(|| format!("writing {}", path.display()))
}
