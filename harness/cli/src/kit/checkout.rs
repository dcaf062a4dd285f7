//! A checkout of the public harness: what the kit changes in it, and what undoes it.
//!
//! What the kit wrote, and what stood there before, is kept in the checkout's git folder, where no
//! commit and no `git status` sees it. So a file that somebody edited is told from one that an
//! older kit wrote.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, bail, ensure};

use super::edit::Edit;
use super::files::{Files, copy_mode, read_all, read_if_there, write};
use super::{Change, Kit, UPSTREAM};

/// What tells a checkout of the public harness from any other folder.
const BASE: &str = "compose.base.yml";

/// Folder inside the git folder.
const KEPT: &str = "reference-target-suite";

/// Folders inside that: what was replaced, and what the kit wrote last.
const BEFORE: &str = "before";
const AFTER: &str = "after";

/// A checkout.
pub(crate) struct Checkout {
    folder: PathBuf,
    kept: PathBuf,
}

impl Checkout {
    /// The checkout in `folder`.
    ///
    /// # Errors
    /// There is none: no `compose.base.yml`, no git, or not its topmost folder.
    pub(crate) fn at(folder: &Path) -> Result<Self> {
        let shown = folder.display();
        ensure!(
            folder.join(BASE).is_file(),
            "{shown} is no checkout of api-benchmarks: it has no {BASE}"
        );
        let git = git(
            folder,
            &["rev-parse", "--absolute-git-dir", "--show-prefix"],
        )?;
        let said = String::from_utf8_lossy(&git.stdout);
        let mut lines = said.lines();
        let (Some(git_folder), "") = (lines.next(), lines.next().unwrap_or_default()) else {
            bail!(
                "{shown} is no checkout of api-benchmarks: git has it in no repository of its own"
            );
        };
        Ok(Self {
            folder: folder.to_owned(),
            kept: Path::new(git_folder).join(KEPT),
        })
    }

    /// What brings the kit in, with our upstream in place of its own or not. What is there already
    /// is no change.
    ///
    /// # Errors
    /// A file that would be overwritten is neither the kit's nor committed, or one that lines are
    /// added to has changed shape.
    pub(crate) fn install(&self, kit: &Kit, with_upstream: bool) -> Result<Vec<Change>> {
        let mut files = self.replaced(&kit.contender, kit.contender.keys().cloned())?;
        if with_upstream {
            files.extend(self.replaced(&kit.upstream, self.upstream_paths(kit)?)?);
        }
        let mut foreign = Vec::new();
        for Change {
            path,
            before,
            after,
        } in &files
        {
            let is_ours = before == after || *before == self.kept(AFTER, path)?;
            if before.is_some() && !is_ours && !self.is_committed(path)? {
                foreign.push(path.display().to_string());
            }
        }
        ensure!(
            foreign.is_empty(),
            "would be overwritten, and is neither the kit's nor committed: {}",
            foreign.join(", ")
        );
        let mut changes = self.edited(kit, Edit::insert)?;
        changes.extend(files);
        changes.retain(|change| change.before != change.after);
        Ok(changes)
    }

    /// What takes the kit out again, and an upstream of ours with it.
    ///
    /// # Errors
    /// A file of the kit was edited, or what our upstream replaced is not known.
    pub(crate) fn remove(&self, kit: &Kit) -> Result<Vec<Change>> {
        let mut paths: Vec<PathBuf> = kit.contender.keys().cloned().collect();
        // Those of an older kit too.
        for side in [BEFORE, AFTER] {
            paths.extend(self.kept_paths(side)?);
        }
        paths.sort();
        paths.dedup();
        let mut changes = self.edited(kit, |edit, text| Ok(edit.remove(text)))?;
        let mut foreign = Vec::new();
        for path in paths {
            let before = self.read(&path)?;
            let after = self.kept(BEFORE, &path)?;
            let ours = [self.kept(AFTER, &path)?, kit.contender.get(&path).cloned()];
            if before.is_some() && before != after && !ours.contains(&before) {
                foreign.push(path.display().to_string());
            }
            changes.push(Change {
                path,
                before,
                after,
            });
        }
        ensure!(
            foreign.is_empty(),
            "would be lost, and is not as the kit left it: {}",
            foreign.join(", ")
        );
        let has_our_upstream = kit.upstream.iter().any(|(path, content)| {
            let there = self.read(path);
            there.is_ok_and(|there| there.as_ref() == Some(content))
        });
        ensure!(
            !has_our_upstream
                || changes
                    .iter()
                    .any(|change| change.path.starts_with(UPSTREAM.0)),
            "{} is ours, and what it replaced is not known here: `git revert` the commit that brought it",
            UPSTREAM.0
        );
        changes.retain(|change| change.before != change.after);
        Ok(changes)
    }

    /// Makes the changes of an installation, and keeps what undoes them.
    ///
    /// # Errors
    /// The file system refuses; what was done so far stays.
    pub(crate) fn apply(&self, kit: &Kit, changes: &[Change]) -> Result<()> {
        for change in changes {
            if !kit.edits(&change.path) {
                let before = change.before.as_deref();
                let is_theirs =
                    before.is_some() && change.before != self.kept(AFTER, &change.path)?;
                if is_theirs {
                    let kept = self.kept.join(BEFORE).join(&change.path);
                    write(&kept, before)?;
                    copy_mode(&self.folder.join(&change.path), &kept)?;
                }
                write(
                    &self.kept.join(AFTER).join(&change.path),
                    change.after.as_deref(),
                )?;
            }
            self.change(change)?;
        }
        Ok(())
    }

    /// Makes the changes of a removal, and forgets what was kept.
    ///
    /// # Errors
    /// The file system refuses; what was done so far stays.
    pub(crate) fn undo(&self, changes: &[Change]) -> Result<()> {
        for change in changes {
            self.change(change)?;
            let kept = self.kept.join(BEFORE).join(&change.path);
            if kept.exists() {
                copy_mode(&kept, &self.folder.join(&change.path))?;
            }
        }
        if self.kept.exists() {
            fs::remove_dir_all(&self.kept)
                .with_context(|| format!("removing {}", self.kept.display()))?;
        }
        Ok(())
    }

    /// The changes as a patch that `git apply` takes; empty if nothing changes. git itself writes
    /// it, from two folders.
    ///
    /// # Errors
    /// There is no room for two copies of what changes.
    pub(crate) fn patch(&self, changes: &[Change]) -> Result<Vec<u8>> {
        let folder = tempfile::tempdir().context("making a folder for a patch")?;
        for change in changes {
            // git names the sides of a patch as these folders are named.
            for (side, content) in [("a", &change.before), ("b", &change.after)] {
                let path = folder.path().join(side).join(&change.path);
                write(&path, content.as_deref())?;
                let there = self.folder.join(&change.path);
                if content.is_some() && there.exists() {
                    copy_mode(&there, &path)?;
                }
            }
        }
        if changes.is_empty() {
            return Ok(Vec::new());
        }
        let output = Command::new("git")
            .args([
                "diff",
                "--no-index",
                "--no-prefix",
                "--no-color",
                "--no-ext-diff",
                "a",
                "b",
            ])
            .current_dir(folder.path())
            .output()
            .context("git is missing: install it, for example `apt install git`")?;
        // 1 says that there are differences.
        ensure!(
            matches!(output.status.code(), Some(0 | 1)),
            "git made no patch: {}",
            String::from_utf8_lossy(&output.stderr).trim_end()
        );
        Ok(output.stdout)
    }

    fn change(&self, change: &Change) -> Result<()> {
        let path = self.folder.join(&change.path);
        write(&path, change.after.as_deref())?;
        if change.after.is_none() {
            // git knows no folders: one that is empty now was the kit's.
            let folders = path
                .ancestors()
                .skip(1)
                .take_while(|folder| *folder != self.folder);
            for folder in folders {
                if fs::remove_dir(folder).is_err() {
                    break;
                }
            }
        }
        Ok(())
    }

    /// What is at these paths becomes these files; who is not among them goes.
    fn replaced(
        &self,
        files: &Files,
        paths: impl IntoIterator<Item = PathBuf>,
    ) -> Result<Vec<Change>> {
        let changes = paths.into_iter().map(|path| {
            Ok(Change {
                before: self.read(&path)?,
                after: files.get(&path).cloned(),
                path,
            })
        });
        changes.collect()
    }

    /// The paths of our upstream, and of the checkout's own.
    fn upstream_paths(&self, kit: &Kit) -> Result<BTreeSet<PathBuf>> {
        let listed = git(&self.folder, &["ls-files", "-z", "--", UPSTREAM.0])?;
        let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
        let theirs: BTreeSet<PathBuf> = listed.split_terminator('\0').map(PathBuf::from).collect();
        ensure!(
            !theirs.is_empty(),
            "{} has changed shape: git has no {} in it",
            self.folder.display(),
            UPSTREAM.0
        );
        Ok(theirs
            .into_iter()
            .chain(kit.upstream.keys().cloned())
            .collect())
    }

    /// The files that the kit adds lines to, or takes them from.
    fn edited(
        &self,
        kit: &Kit,
        edit_text: impl Fn(&Edit, &str) -> Result<String>,
    ) -> Result<Vec<Change>> {
        let mut texts: BTreeMap<PathBuf, (String, String)> = BTreeMap::new();
        for edit in &kit.edits {
            let path = PathBuf::from(&edit.file);
            let (before, after) = match texts.remove(&path) {
                Some(texts) => texts,
                None => {
                    let file = self.folder.join(&path);
                    let text = fs::read_to_string(&file)
                        .with_context(|| format!("reading {}", file.display()))?;
                    (text.clone(), text)
                }
            };
            let after = edit_text(edit, &after).with_context(|| {
                format!("{} has changed shape", self.folder.join(&path).display())
            })?;
            texts.insert(path, (before, after));
        }
        let changes = texts.into_iter().map(|(path, (before, after))| Change {
            path,
            before: Some(before.into_bytes()),
            after: Some(after.into_bytes()),
        });
        Ok(changes.collect())
    }

    /// Whether a file is as the last commit has it.
    fn is_committed(&self, path: &Path) -> Result<bool> {
        let path = path.to_str().context("a path that is no text")?;
        let status = git(
            &self.folder,
            &["status", "--porcelain", "--ignored", "--", path],
        )?;
        Ok(status.stdout.is_empty())
    }

    fn read(&self, path: &Path) -> Result<Option<Vec<u8>>> {
        read_if_there(&self.folder.join(path))
    }

    fn kept(&self, side: &str, path: &Path) -> Result<Option<Vec<u8>>> {
        read_if_there(&self.kept.join(side).join(path))
    }

    fn kept_paths(&self, side: &str) -> Result<Vec<PathBuf>> {
        let folder = self.kept.join(side);
        match folder.exists() {
            true => Ok(read_all(&folder)?.into_keys().collect()),
            false => Ok(Vec::new()),
        }
    }
}

fn git(folder: &Path, arguments: &[&str]) -> Result<Output> {
    let output = Command::new("git")
        .arg("-C")
        .arg(folder)
        .args(arguments)
        .output()
        .context("git is missing: install it, for example `apt install git`")?;
    ensure!(
        output.status.success(),
        "git {} in {}: {}",
        arguments[0],
        folder.display(),
        String::from_utf8_lossy(&output.stderr).trim_end()
    );
    Ok(output)
}
