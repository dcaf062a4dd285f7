//! `contenders.toml` and `contenders.api-benchmarks.toml`: one definition for each contender.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use super::{Category, Container, Contender, Native};
use crate::level::Level;

/// The file's name.
pub const FILE: &str = "contenders.toml";

/// Name of the file beside it, whose folders are those of a checkout of the public harness.
pub(super) const API_BENCHMARKS_FILE: &str = "contenders.api-benchmarks.toml";

/// One definition; `docs/ADDING-A-CONTENDER.md` describes each key.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Definition {
    language: String,
    framework: String,
    #[serde(default)]
    category: Category,
    #[serde(default = "work")]
    promises: Level,
    #[serde(default)]
    needs: BTreeMap<String, String>,
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

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Compose {
    files: Vec<PathBuf>,
    service: String,
}

fn work() -> Level {
    Level::Work
}

/// Reads the contenders of a file, by name; its paths are relative to its folder.
///
/// # Errors
/// The file cannot be read, or a definition is malformed; the error says where.
pub fn read(path: &Path) -> Result<Vec<Contender>> {
    read_under(path.parent().unwrap_or(Path::new("")), path)
}

/// Reads the contenders of a file, by name; its paths are relative to `folder`.
///
/// # Errors
/// The file cannot be read, or a definition is malformed; the error says where.
pub(super) fn read_under(folder: &Path, path: &Path) -> Result<Vec<Contender>> {
    let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    let resolved =
        |folder: &Path| std::path::absolute(folder.join(".")).context("resolving the folder");
    let folders = Folders {
        listed_in: resolved(path.parent().unwrap_or(Path::new("")))?,
        relative_to: resolved(folder)?,
    };
    parse(&text, &folders).with_context(|| format!("in {}", path.display()))
}

/// Returns the names of the contenders in a text of the form of `contenders.toml`.
///
/// # Errors
/// A definition is malformed; the error says which and why.
pub fn contenders_of(text: &str, folder: &Path) -> Result<Vec<String>> {
    let folders = Folders {
        listed_in: folder.to_owned(),
        relative_to: folder.to_owned(),
    };
    let contenders = parse(text, &folders)?;
    let names = contenders.into_iter().map(|contender| contender.name);
    Ok(names.collect())
}

/// The folder of a file, and the folder that its paths are relative to.
struct Folders {
    listed_in: PathBuf,
    relative_to: PathBuf,
}

fn parse(text: &str, folders: &Folders) -> Result<Vec<Contender>> {
    let definitions: BTreeMap<String, Definition> = toml::from_str(text)?;
    definitions
        .into_iter()
        .map(|(name, definition)| contender(name.clone(), definition, folders).context(name))
        .collect()
}

fn contender(name: String, definition: Definition, folders: &Folders) -> Result<Contender> {
    if definition.command.is_none() && definition.compose.is_none() {
        bail!("neither `command` nor `compose` says how to start it");
    }
    ensure!(
        definition.command.is_some()
            || (definition.needs.is_empty()
                && definition.build.is_none()
                && definition.folder.is_none()),
        "`needs`, `build` and `folder` belong to a `command`"
    );
    for (slug, why) in &definition.deviations {
        ensure!(
            !why.trim().is_empty(),
            "the deviation {slug:?} has no reason"
        );
    }
    let folder = &folders.relative_to;
    let native = definition.command.map(|command| Native {
        needs: definition.needs,
        build: definition.build,
        command,
        folder: definition
            .folder
            .map_or(folder.clone(), |inner| folder.join(inner)),
        listed_in: folders.listed_in.clone(),
        port: definition.port,
    });
    let container = definition.compose.map(|compose| Container {
        files: compose.files.iter().map(|file| folder.join(file)).collect(),
        service: compose.service,
        port: definition.port,
    });
    Ok(Contender {
        name,
        made_of: format!("{}, {}", definition.language, definition.framework),
        category: definition.category,
        promises: definition.promises,
        deviations: definition.deviations,
        variables: definition.environment,
        native,
        container,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folders() -> Folders {
        Folders {
            listed_in: "/suite".into(),
            relative_to: "/field".into(),
        }
    }

    fn error(text: &str) -> String {
        format!("{:#}", parse(text, &folders()).unwrap_err())
    }

    const HEAD: &str = "[a]\nlanguage = \"L 1\"\nframework = \"F 2\"\n";

    #[test]
    fn definition_is_read_with_its_paths_under_their_folder() {
        let text = format!(
            "{HEAD}promises = \"strict\"\ncommand = \"./run\"\nfolder = \"b\"\nport = 8000\n\
             compose = {{ files = [\"c.yml\"], service = \"s\" }}\n[a.deviations]\n\"movies/*\" = \"why\"\n"
        );
        let contenders = parse(&text, &folders()).unwrap();
        let [contender] = &contenders[..] else {
            panic!("{contenders:?}")
        };
        assert_eq!(
            (contender.name.as_str(), contender.made_of.as_str()),
            ("a", "L 1, F 2")
        );
        assert_eq!(contender.promises, Level::Strict);
        let native = contender.native.as_ref().unwrap();
        assert_eq!(native.folder, Path::new("/field/b"));
        assert_eq!(native.listed_in, Path::new("/suite"));
        let container = contender.container.as_ref().unwrap();
        assert_eq!(container.files, [Path::new("/field/c.yml")]);
        assert_eq!([native.port, container.port], [Some(8000); 2]);
        assert_eq!(contender.deviations["movies/*"], "why");
    }

    #[test]
    fn category_is_one_of_four_and_standard_by_default() {
        let text = format!("{HEAD}command = \"x\"\n");
        let category = |text: &str| parse(text, &folders()).unwrap()[0].category;
        assert_eq!(category(&text), Category::Standard);
        let ceiling = text + "category = \"ceiling\"\n";
        assert_eq!(category(&ceiling), Category::Ceiling);
        assert!(error(&ceiling.replace("ceiling", "other")).contains("unknown variant `other`"));
    }

    #[test]
    fn missing_and_surplus_keys_are_named() {
        assert!(error(HEAD).contains("a: neither `command` nor `compose`"));
        assert!(error(&format!("{HEAD}comand = \"x\"\n")).contains("comand"));
        assert!(error("[a]\ncommand = \"x\"\n").contains("language"));
        let no_reason = format!("{HEAD}command = \"x\"\n[a.deviations]\n\"movies/415\" = \" \"\n");
        assert!(error(&no_reason).contains("has no reason"));
        let needs = format!(
            "{HEAD}needs = {{ go = \"x\" }}\ncompose = {{ files = [], service = \"s\" }}\n"
        );
        assert!(error(&needs).contains("belong to a `command`"));
        let build = format!("{HEAD}build = \"x\"\ncompose = {{ files = [], service = \"s\" }}\n");
        assert!(error(&build).contains("belong to a `command`"));
    }

    #[test]
    fn contenders_of_the_public_harness_name_existing_builds_and_read_their_port() {
        let suite = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
        let path = suite.join(API_BENCHMARKS_FILE);
        let contenders = read_under(Path::new("/field"), &path).unwrap();
        let names: Vec<&str> = contenders.iter().map(|c| c.name.as_str()).collect();
        let field = "blacksheep django-bolt django-ninja elysia fastapi flask gin jero litestar robyn spring-boot";
        assert_eq!(names.join(" "), field);
        for contender in &contenders {
            let native = contender.natively().unwrap();
            assert!(native.folder.starts_with("/field/services"), "{native:?}");
            assert_eq!(native.port, None);
            let build = native.build.as_ref().unwrap();
            let script = build
                .strip_prefix("\"$CONTENDERS_DIR/")
                .map(|rest| rest.split('"').next().unwrap());
            assert!(
                script.is_none_or(|script| native.listed_in.join(script).is_file()),
                "{build}"
            );
        }
    }
}
