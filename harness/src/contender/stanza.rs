//! `contenders.toml`: one stanza for each contender.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use super::{Container, Contender, Native};
use crate::check::Level;

/// The file's name.
pub(crate) const FILE: &str = "contenders.toml";

/// One stanza; `docs/ADDING-A-CONTENDER.md` says what each key is.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stanza {
    language: String,
    framework: String,
    kind: Option<Kind>,
    #[serde(default = "work")]
    promises: Level,
    build: Option<String>,
    command: Option<String>,
    folder: Option<PathBuf>,
    port: Option<u16>,
    #[serde(default)]
    environment: BTreeMap<String, String>,
    compose: Option<Compose>,
    #[serde(default)]
    deviations: BTreeMap<String, String>,
}

/// What it is, if no contender.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Limit,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Compose {
    files: Vec<PathBuf>,
    service: String,
}

fn work() -> Level {
    Level::Work
}

/// The contenders of a file, by name; paths in it are relative to its folder.
///
/// # Errors
/// The file cannot be read, or a stanza is not of its form: says where.
pub(crate) fn read(path: &Path) -> Result<Vec<Contender>> {
    let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    let folder = path.parent().unwrap_or(Path::new("")).to_path_buf();
    let folder = std::path::absolute(folder.join(".")).context("resolving the folder")?;
    parse(&text, &folder).with_context(|| format!("in {}", path.display()))
}

fn parse(text: &str, folder: &Path) -> Result<Vec<Contender>> {
    let stanzas: BTreeMap<String, Stanza> = toml::from_str(text)?;
    stanzas
        .into_iter()
        .map(|(name, stanza)| contender(name.clone(), stanza, folder).context(name))
        .collect()
}

fn contender(name: String, stanza: Stanza, folder: &Path) -> Result<Contender> {
    if stanza.command.is_none() && stanza.compose.is_none() {
        bail!("neither `command` nor `compose` says how to start it");
    }
    ensure!(
        stanza.command.is_some() || (stanza.build.is_none() && stanza.folder.is_none()),
        "`build` and `folder` belong to a `command`"
    );
    for (slug, why) in &stanza.deviations {
        ensure!(
            !why.trim().is_empty(),
            "the deviation {slug:?} does not say why"
        );
    }
    let native = stanza.command.map(|command| Native {
        build: stanza.build,
        command,
        folder: stanza
            .folder
            .map_or(folder.to_path_buf(), |inner| folder.join(inner)),
    });
    let container = stanza.compose.map(|compose| Container {
        files: compose.files.iter().map(|file| folder.join(file)).collect(),
        service: compose.service,
    });
    Ok(Contender {
        name,
        made_of: format!("{}, {}", stanza.language, stanza.framework),
        is_limit: matches!(stanza.kind, Some(Kind::Limit)),
        promises: stanza.promises,
        deviations: stanza.deviations,
        port: stanza.port,
        environment: stanza.environment,
        native,
        container,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        format!("{:#}", parse(text, Path::new("/suite")).unwrap_err())
    }

    const HEAD: &str = "[a]\nlanguage = \"L 1\"\nframework = \"F 2\"\n";

    #[test]
    fn a_stanza_is_read_with_its_paths_under_the_file_s_folder() {
        let text = format!(
            "{HEAD}promises = \"strict\"\ncommand = \"./run\"\nfolder = \"b\"\nport = 8000\n\
             compose = {{ files = [\"c.yml\"], service = \"s\" }}\n[a.deviations]\n\"movies/*\" = \"why\"\n"
        );
        let contenders = parse(&text, Path::new("/suite")).unwrap();
        let [contender] = &contenders[..] else {
            panic!("{contenders:?}")
        };
        assert_eq!(
            (contender.name.as_str(), contender.made_of.as_str()),
            ("a", "L 1, F 2")
        );
        assert_eq!(
            (contender.promises, contender.port),
            (Level::Strict, Some(8000))
        );
        assert_eq!(
            contender.native.as_ref().unwrap().folder,
            Path::new("/suite/b")
        );
        assert_eq!(
            contender.container.as_ref().unwrap().files,
            [Path::new("/suite/c.yml")]
        );
        assert_eq!(contender.deviations["movies/*"], "why");
    }

    #[test]
    fn a_limit_is_no_contender() {
        let text = format!("{HEAD}kind = \"limit\"\ncommand = \"x\"\n");
        assert!(parse(&text, Path::new("/suite")).unwrap()[0].is_limit);
        assert!(error(&text.replace("limit", "other")).contains("unknown variant `other`"));
    }

    #[test]
    fn what_a_stanza_lacks_or_has_too_much_is_named() {
        assert!(error(HEAD).contains("a: neither `command` nor `compose`"));
        assert!(error(&format!("{HEAD}comand = \"x\"\n")).contains("comand"));
        assert!(error("[a]\ncommand = \"x\"\n").contains("language"));
        let no_reason = format!("{HEAD}command = \"x\"\n[a.deviations]\n\"movies/415\" = \" \"\n");
        assert!(error(&no_reason).contains("does not say why"));
        let build = format!("{HEAD}build = \"x\"\ncompose = {{ files = [], service = \"s\" }}\n");
        assert!(error(&build).contains("belong to a `command`"));
    }
}
