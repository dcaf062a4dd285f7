//! Output files of a command: checked before the work, and replaced as a whole or not at all.

use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tempfile::{Builder, NamedTempFile};

/// Mode of a new file, before the umask.
const NEW_FILE: u32 = 0o666;

/// Checks that the file can be written, without changing it.
///
/// # Errors
/// It cannot be written.
pub fn expect_file(path: &Path) -> Result<()> {
    let expect = || match Place::of(path)? {
        Place::Whole(path, permissions) => beside(&path, permissions).map(drop),
        Place::AsItIs => Ok(()),
    };
    expect().with_context(|| writing(path))
}

/// Makes a folder if it is missing, and checks that files can be written into it.
///
/// # Errors
/// They cannot be written.
pub fn expect_folder(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    expect_file(&folder.join("it"))
        .map_err(|error| anyhow::anyhow!("{}: {}", writing(folder), error.root_cause()))
}

/// Writes a file; the former content stays if this fails.
///
/// # Errors
/// The file system refuses.
pub fn write(path: &Path, text: impl AsRef<[u8]>) -> Result<()> {
    let write = || match Place::of(path)? {
        Place::Whole(path, permissions) => {
            let mut new = beside(&path, permissions)?;
            new.as_file_mut().write_all(text.as_ref())?;
            new.persist(path)?;
            Ok(())
        }
        Place::AsItIs => fs::write(path, text.as_ref()),
    };
    write().with_context(|| writing(path))
}

/// Lets `fill` write files into a new folder, then moves all of them into this one. The former files
/// stay if one of them cannot be written.
///
/// # Errors
/// The error of `fill`, or the file system refuses.
pub fn fill_folder(folder: &Path, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let filled = || {
        let new = Builder::new()
            .prefix(".")
            .suffix(".new")
            .tempdir_in(folder)?;
        fill(new.path())?;
        for file in fs::read_dir(new.path())? {
            let file = file?;
            fs::rename(file.path(), folder.join(file.file_name()))?;
        }
        Ok(())
    };
    // The new folder is nobody's concern.
    filled().map_err(|error: anyhow::Error| {
        anyhow::anyhow!("{}: {}", writing(folder), error.root_cause())
    })
}

fn writing(path: &Path) -> String {
    format!("writing {}", path.display())
}

/// The way to write a file.
enum Place {
    /// A temporary file with these permissions, which is then moved to this path.
    Whole(PathBuf, Permissions),
    /// A pipe or a device. It is not opened before: that could block, or have an effect.
    AsItIs,
}

impl Place {
    /// # Errors
    /// It is a folder, or a file that may not be written.
    fn of(path: &Path) -> io::Result<Self> {
        match fs::metadata(path) {
            Ok(there) if there.is_dir() => Err(ErrorKind::IsADirectory.into()),
            Ok(there) if !there.is_file() => Ok(Self::AsItIs),
            Ok(there) => {
                File::options().write(true).open(path)?;
                Ok(Self::Whole(fs::canonicalize(path)?, there.permissions()))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let permissions = Permissions::from_mode(NEW_FILE);
                Ok(Self::Whole(path.to_owned(), permissions))
            }
            Err(error) => Err(error),
        }
    }
}

/// Creates a temporary file in the folder of this one.
fn beside(path: &Path, permissions: Permissions) -> io::Result<NamedTempFile> {
    let parent = path.parent().filter(|parent| *parent != OsStr::new(""));
    Builder::new()
        .prefix(".")
        .suffix(".new")
        .permissions(permissions)
        .tempfile_in(parent.unwrap_or(Path::new(".")))
        // Without the name of the new file.
        .map_err(|error| error.kind().into())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, symlink};

    use super::*;

    #[test]
    fn a_file_is_written_through_a_link_with_the_permissions_that_it_had() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        write(&file, "one").unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o640)).unwrap();
        symlink(&file, &link).unwrap();
        write(&link, "another").unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "another");
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o640);
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    }

    #[test]
    fn expected_file_or_folder_leaves_nothing_and_an_impossible_one_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        expect_file(&path("file")).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        expect_folder(&path("a/b")).unwrap();
        assert_eq!(fs::read_dir(path("a/b")).unwrap().count(), 0);
        let error = format!("{:#}", expect_file(folder.path()).unwrap_err());
        assert!(error.ends_with("is a directory"), "{error}");
        let error = format!("{:#}", expect_file(&path("no/file")).unwrap_err());
        assert_eq!(
            error,
            format!("writing {}: entity not found", path("no/file").display())
        );
    }

    #[test]
    fn a_folder_is_filled_as_a_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let fill = |second: &'static str| {
            fill_folder(folder.path(), |new| {
                fs::write(new.join("one"), second)?;
                fs::write(new.join(second), second)?;
                Ok(())
            })
        };
        fill("two").unwrap();
        fill("no/three").unwrap_err();
        assert_eq!(
            fs::read_to_string(folder.path().join("one")).unwrap(),
            "two"
        );
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }
}
