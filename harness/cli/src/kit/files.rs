//! Files and folders, with errors that name them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Files by their paths in some folder.
pub(super) type Files = BTreeMap<PathBuf, Vec<u8>>;

/// Every file below a folder, by its path in it.
pub(super) fn read_all(folder: &Path) -> Result<Files> {
    let mut files = Files::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(inner) = folders.pop() {
        let entries =
            fs::read_dir(&inner).with_context(|| format!("reading {}", inner.display()))?;
        for entry in entries {
            let path = entry
                .with_context(|| format!("reading {}", inner.display()))?
                .path();
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

/// Writes a file, or removes it.
pub(super) fn write(path: &Path, content: Option<&[u8]>) -> Result<()> {
    match content {
        Some(content) => {
            let folder = path.parent().expect("it is in a folder");
            fs::create_dir_all(folder)
                .and_then(|()| fs::write(path, content))
                .with_context(|| format!("writing {}", path.display()))
        }
        None if path.exists() => {
            fs::remove_file(path).with_context(|| format!("removing {}", path.display()))
        }
        None => Ok(()),
    }
}

/// git knows whether a file is executable.
pub(super) fn copy_mode(from: &Path, to: &Path) -> Result<()> {
    fs::metadata(from)
        .and_then(|from| fs::set_permissions(to, from.permissions()))
        .with_context(|| format!("giving {} the mode of {}", to.display(), from.display()))
}

/// What is in a file, if there is one.
pub(super) fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>> {
    match path.exists() {
        true => fs::read(path)
            .map(Some)
            .with_context(|| format!("reading {}", path.display())),
        false => Ok(None),
    }
}
