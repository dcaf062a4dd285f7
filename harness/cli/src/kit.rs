//! What makes our contender and our upstream part of a checkout of the public harness: files of its
//! own, generated from the workspace, and lines in files of the checkout.

mod checkout;
mod edit;
mod files;
mod workspace;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use schema::env;

pub(crate) use checkout::Checkout;

use edit::Edit;
use files::{Files, read_all};

/// What of the kit is kept as files, at their places in a checkout.
const FOLDER: &str = "kit/api-benchmarks/checkout";

/// What of the kit is lines of other files.
const EDITS: &str = "kit/api-benchmarks/edits.toml";

/// The contenders that the one program is: the name of each, and its `CLIENTS`. Files whose path
/// names a profile are one for each.
const PROFILES: [(&str, &str); 2] = [("axum", "idiomatic"), ("axum-tuned", "tuned")];

/// The folder of the contenders in a checkout, and the crates that it is made of.
const CONTENDER: (&str, &[&str]) = ("services/axum", &["schema", "serve", "target-axum"]);

/// The same of the upstream, which a checkout has already.
const UPSTREAM: (&str, &[&str]) = ("services/upstream", &["schema", "serve", "upstream"]);

/// The kit, made from a checkout of the suite.
pub(crate) struct Kit {
    /// New in the checkout.
    contender: Files,
    /// In place of what the checkout has in [`UPSTREAM`]'s folder.
    upstream: Files,
    edits: Vec<Edit>,
}

/// A file that becomes another; none if there was or will be none.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Change {
    /// In the checkout.
    pub(crate) path: PathBuf,
    pub(crate) before: Option<Vec<u8>>,
    pub(crate) after: Option<Vec<u8>>,
}

impl Kit {
    /// Generates it from the checkout of the suite in `suite`.
    ///
    /// # Errors
    /// A file of the suite cannot be read, or Cargo cannot make a lockfile of fewer crates.
    pub(crate) fn of(suite: &Path) -> Result<Self> {
        let kept = filled_in(read_all(&suite.join(FOLDER))?)?;
        let mut upstream = Files::new();
        let mut contender = Files::new();
        for (path, content) in kept {
            match path.starts_with(UPSTREAM.0) {
                true => upstream.insert(path, content),
                false => contender.insert(path, content),
            };
        }
        for ((folder, members), files) in [(CONTENDER, &mut contender), (UPSTREAM, &mut upstream)] {
            let workspace = workspace::of(suite, members)?;
            files.extend(
                workspace
                    .into_iter()
                    .map(|(path, content)| (Path::new(folder).join(path), content)),
            );
        }
        let path = suite.join(EDITS);
        let edits =
            fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        Ok(Self {
            contender,
            upstream,
            edits: edit::parse(&edits).with_context(|| format!("in {}", path.display()))?,
        })
    }

    /// Whether it only adds lines to this file.
    fn edits(&self, path: &Path) -> bool {
        self.edits.iter().any(|edit| Path::new(&edit.file) == path)
    }
}

/// The files with the values of the contract, where one names them between `@`, and with those of
/// each profile.
fn filled_in(files: Files) -> Result<Files> {
    let mut filled = Files::new();
    for (path, content) in files {
        let (Some(path), Ok(mut text)) = (path.to_str(), String::from_utf8(content)) else {
            bail!("{} is no text", path.display());
        };
        for (name, value) in env::bench() {
            text = text.replace(&format!("@{name}@"), value);
        }
        for (profile, clients) in PROFILES {
            let of_profile = |text: &str| text.replace("@PROFILE@", profile);
            let text = of_profile(&text).replace("@CLIENTS@", clients);
            filled.insert(of_profile(path).into(), text.into_bytes());
        }
    }
    Ok(filled)
}
