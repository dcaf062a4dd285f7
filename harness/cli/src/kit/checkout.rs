//! A checkout of the public harness, and the patch that puts the kit into it.
//!
//! git makes, applies and reverses the patch: all of it or nothing, and never over an edited file. The
//! patch is kept in the checkout's git folder until the kit is taken out.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;

use super::content::{Kit, UPSTREAM, write};

/// The file that distinguishes a checkout of the public harness from any other folder.
const BASE: &str = "compose.base.yml";

/// The patch of the kit that was put in, in the git folder.
const PATCH: &str = "reference-target-suite.patch";

/// Other lines beside the kit's may change after it was put in, so the patch has no context.
const APPLY: [&str; 3] = ["apply", "--unidiff-zero", "--whitespace=nowarn"];

/// A checkout of the public harness.
pub(super) struct Checkout {
    folder: PathBuf,
    patch: PathBuf,
}

impl Checkout {
    /// Opens the checkout in `folder`.
    ///
    /// # Errors
    /// The folder has no `compose.base.yml`, or is not the top folder of a git repository.
    pub(super) fn open(folder: &Path) -> Result<Self> {
        let shown = folder.display();
        ensure!(
            folder.join(BASE).is_file(),
            "{shown} is no checkout of api-benchmarks: it has no {BASE}"
        );
        let paths = git(
            folder,
            &["rev-parse", "--absolute-git-dir", "--show-prefix"],
        )?;
        let mut lines = paths.lines();
        let (Some(git_folder), "") = (lines.next(), lines.next().unwrap_or_default()) else {
            bail!("{shown} is no checkout of api-benchmarks: it is a folder inside a repository");
        };
        Ok(Self {
            folder: folder.to_owned(),
            patch: Path::new(git_folder).join(PATCH),
        })
    }

    /// Puts the kit in, in place of an older one, and returns the number of changed files.
    ///
    /// # Errors
    /// Those of [`Self::remove`] and [`Self::patch`]; then nothing is changed.
    pub(super) fn install(&self, kit: &Kit, with_upstream: bool) -> Result<usize> {
        let older = match self.patch.exists() {
            true => fs::read_to_string(&self.patch)
                .with_context(|| format!("reading {}", self.patch.display()))?,
            false => String::new(),
        };
        let with_upstream = with_upstream || older.contains(UPSTREAM.0);
        if !older.is_empty() {
            self.remove()?;
        }
        let installed = self.patch(kit, with_upstream, 0).and_then(|patch| {
            if older.is_empty() {
                self.must_be_committed(kit, &patch)?;
            }
            self.apply(&patch)?;
            Ok(patch)
        });
        match installed {
            Ok(patch) if patch == older => Ok(0),
            Ok(patch) => Ok(patch
                .lines()
                .filter(|line| line.starts_with("diff --git "))
                .count()),
            Err(error) => {
                self.apply(&older)?;
                Err(error)
            }
        }
    }

    /// Takes the kit out; returns false if none was put in.
    ///
    /// # Errors
    /// A file of the kit was edited; then nothing is changed.
    pub(super) fn remove(&self) -> Result<bool> {
        if !self.patch.exists() {
            return Ok(false);
        }
        let patch = self.patch.to_string_lossy();
        git(&self.folder, &[&APPLY[..], &["--reverse", &patch]].concat())
            .context("the kit was edited after it was put in")?;
        fs::remove_file(&self.patch).with_context(|| format!("removing {patch}"))?;
        Ok(true)
    }

    /// Returns the patch that puts the kit in, with this many lines of context; empty if the
    /// checkout has the kit.
    ///
    /// # Errors
    /// A file that lines are added to has none of the lines that they belong to, or the checkout
    /// has no upstream to replace.
    pub(super) fn patch(&self, kit: &Kit, with_upstream: bool, context: usize) -> Result<String> {
        let mut files = kit.contender.clone();
        let mut paths = BTreeSet::new();
        if with_upstream {
            files.extend(kit.upstream.clone());
            paths.extend(self.upstream_paths()?);
        }
        paths.extend(files.keys().cloned());
        paths.extend(kit.edits.iter().map(|edit| PathBuf::from(&edit.file)));

        let temporary = tempfile::tempdir().context("making a temporary folder for the kit")?;
        let [before, after] = ["a", "b"].map(|side| temporary.path().join(side));
        for path in &paths {
            let is_replaced = path.starts_with(UPSTREAM.0);
            copy(&self.folder, &before, path)?;
            if !is_replaced || files.contains_key(path) {
                copy(&self.folder, &after, path)?;
            }
        }
        for (path, content) in &files {
            write(&after.join(path), content)?;
        }
        for edit in &kit.edits {
            let shown = self.folder.join(&edit.file);
            let path = after.join(&edit.file);
            let text = fs::read_to_string(&path)
                .with_context(|| format!("reading {}", shown.display()))?;
            let text = edit
                .insert(&text)
                .with_context(|| format!("{} has changed shape", shown.display()))?;
            write(&path, text.as_bytes())?;
        }
        difference(&temporary, context)
    }

    /// Applies a patch and keeps it.
    fn apply(&self, patch: &str) -> Result<()> {
        if patch.is_empty() {
            return Ok(());
        }
        write(&self.patch, patch.as_bytes())?;
        let path = self.patch.to_string_lossy();
        let applied = git(&self.folder, &[&APPLY[..], &[&path]].concat());
        if applied.is_err() {
            let _ = fs::remove_file(&self.patch);
        }
        applied.map(drop)
    }

    /// Lists the files of the checkout's upstream.
    fn upstream_paths(&self) -> Result<Vec<PathBuf>> {
        let listed = git(
            &self.folder,
            &["ls-files", "-z", "--cached", "--others", "--", UPSTREAM.0],
        )?;
        ensure!(
            !listed.is_empty(),
            "{} has changed shape: git has no {} in it",
            self.folder.display(),
            UPSTREAM.0
        );
        Ok(listed.split_terminator('\0').map(PathBuf::from).collect())
    }

    /// Fails if the patch replaces or removes a file that git cannot restore.
    fn must_be_committed(&self, kit: &Kit, patch: &str) -> Result<()> {
        let changed = patch.lines().filter_map(|line| line.strip_prefix("--- a/"));
        let replaced = changed.filter(|path| kit.edits.iter().all(|edit| edit.file != *path));
        for path in replaced {
            let status = ["status", "--porcelain", "--ignored", "--", path];
            ensure!(
                git(&self.folder, &status)?.is_empty(),
                "{path} would be overwritten and is not committed: commit or move it first"
            );
        }
        Ok(())
    }
}

/// Compares the folders `a` and `b`.
fn difference(temporary: &TempDir, context: usize) -> Result<String> {
    let context = format!("--unified={context}");
    let options = [
        "diff",
        "--no-index",
        "--no-prefix",
        "--no-renames",
        &context,
    ];
    let plain = ["--no-color", "--no-ext-diff", "a", "b"];
    let output = run_git(temporary.path(), &[&options[..], &plain].concat())?;
    // 1 means that there are differences.
    ensure!(
        matches!(output.status.code(), Some(0 | 1)),
        "git diff failed: {}",
        String::from_utf8_lossy(&output.stderr).trim_end()
    );
    String::from_utf8(output.stdout).context("a file of the kit is not UTF-8")
}

/// Copies a file, with its permissions, if it exists.
fn copy(from: &Path, to: &Path, path: &Path) -> Result<()> {
    let (from, to) = (from.join(path), to.join(path));
    if from.is_file() {
        write(&to, b"")?;
        fs::copy(&from, &to).with_context(|| format!("copying {}", from.display()))?;
    }
    Ok(())
}

/// Runs git, which must succeed, and returns its standard output.
fn git(folder: &Path, arguments: &[&str]) -> Result<String> {
    let output = run_git(folder, arguments)?;
    ensure!(
        output.status.success(),
        "git {} in {}: {}",
        arguments[0],
        folder.display(),
        String::from_utf8_lossy(&output.stderr).trim_end()
    );
    String::from_utf8(output.stdout).context("git printed a path that is not UTF-8")
}

fn run_git(folder: &Path, arguments: &[&str]) -> Result<Output> {
    let mut git = Command::new("git");
    git.args(arguments).current_dir(folder);
    git.output().context("git cannot be run: install it")
}
