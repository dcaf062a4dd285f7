//! Which contenders a command is about: those of `contenders.toml` and those of a checkout of the
//! public harness, chosen in one line.

use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

use super::stanza::{API_BENCHMARKS_FILE, read_under};
use super::{Contender, Native, api_benchmarks, read};

/// The contenders that are named, in that order, or all: the file's first, then the checkout's. A
/// name is looked up in the file first. With a `command`, they start by that instead of their own.
///
/// # Errors
/// There is no such contender, none is named, or a file cannot be read.
pub fn choose(
    names: &[String],
    all: bool,
    file: &Path,
    api_benchmarks: Option<&Path>,
    command: Option<&str>,
) -> Result<Vec<Contender>> {
    let known = Known::read(file, api_benchmarks)?;
    if all {
        let all = known.names().into_iter();
        let all = all.map(|name| known.find(name, command));
        let all = all.collect::<Result<Vec<_>>>()?;
        return Ok(all);
    }
    ensure!(!names.is_empty(), "which contender? {known}; or --all");
    for (index, name) in names.iter().enumerate() {
        ensure!(!names[..index].contains(name), "{name} is named twice");
    }
    let named = names.iter().map(|name| known.find(name, command));
    named.collect()
}

/// What there is to choose from.
struct Known<'a> {
    file: &'a Path,
    contenders: Vec<Contender>,
    checkout: Option<Checkout<'a>>,
}

/// A checkout of the public harness.
struct Checkout<'a> {
    folder: &'a Path,
    names: Vec<String>,
    /// How its contenders start without containers.
    stanzas: Vec<Contender>,
}

impl<'a> Known<'a> {
    fn read(file: &'a Path, checkout: Option<&'a Path>) -> Result<Self> {
        let checkout = checkout.map(|folder| Checkout::read(folder, file));
        Ok(Self {
            checkout: checkout.transpose()?,
            contenders: read(file)?,
            file,
        })
    }

    fn names(&self) -> Vec<&str> {
        let own = self
            .contenders
            .iter()
            .map(|contender| contender.name.as_str());
        let mut names: Vec<&str> = own.collect();
        for name in self.checkout.iter().flat_map(|checkout| &checkout.names) {
            if !names.contains(&name.as_str()) {
                names.push(name);
            }
        }
        names
    }

    fn find(&self, name: &str, command: Option<&str>) -> Result<Contender> {
        let own = self
            .contenders
            .iter()
            .find(|contender| contender.name == name);
        if let Some(own) = own {
            let mut contender = own.clone();
            if let Some(command) = command {
                ensure!(
                    contender.native.is_some(),
                    "--command overrides the command of a stanza, and {name} has none"
                );
                contender.native = contender.native.map(|native| Native {
                    command: command.to_owned(),
                    ..native
                });
            }
            return Ok(contender);
        }
        match &self.checkout {
            Some(checkout) if checkout.names.iter().any(|known| known == name) => {
                checkout.find(name, command)
            }
            _ => bail!("there is no contender {name}: {self}"),
        }
    }
}

impl Display for Known<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let own: Vec<&str> = self
            .contenders
            .iter()
            .map(|contender| contender.name.as_str())
            .collect();
        write!(formatter, "{} has {}", self.file.display(), own.join(", "))?;
        if let Some(checkout) = &self.checkout {
            write!(
                formatter,
                "; {} has {}",
                checkout.folder.display(),
                checkout.names.join(", ")
            )?;
        }
        Ok(())
    }
}

impl<'a> Checkout<'a> {
    fn read(folder: &'a Path, contenders_file: &Path) -> Result<Self> {
        let names = api_benchmarks::names(folder)?;
        let file = contenders_file.with_file_name(API_BENCHMARKS_FILE);
        // A list of one's own elsewhere needs none: then they start in containers only.
        let stanzas = if file.is_file() {
            read_under(folder, &file)?
        } else {
            Vec::new()
        };
        Ok(Self {
            folder,
            names,
            stanzas,
        })
    }

    fn find(&self, name: &str, command: Option<&str>) -> Result<Contender> {
        let stanza = self.stanzas.iter().find(|stanza| stanza.name == name);
        let mut contender = api_benchmarks::find(self.folder, name, stanza.cloned())?;
        if let Some(command) = command {
            let folder = std::path::absolute(self.folder);
            let folder = folder.context("resolving the checkout's folder")?;
            contender.native = Some(Native {
                needs: BTreeMap::new(),
                build: None,
                command: command.to_owned(),
                folder: folder.clone(),
                listed_in: folder,
                port: None,
            });
        }
        Ok(contender)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::super::FILE;
    use super::*;

    /// A list of `mine` and `gin`, and a checkout of `gin`, `jero` and `flask`, of which `jero` has
    /// a stanza.
    fn field() -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        let stanza = |name: &str, more: &str| {
            format!("[{name}]\nlanguage = \"L\"\nframework = \"F\"\ncommand = \"own\"\n{more}")
        };
        write(
            FILE,
            &(stanza("mine", "port = 9000\n") + &stanza("gin", "")),
        );
        let environment = "environment = { LOOP = \"asyncio\" }\nfolder = \"inner\"\n";
        write(API_BENCHMARKS_FILE, &stanza("jero", environment));
        write("compose.base.yml", "services: {}\n");
        for name in ["gin", "jero", "flask"] {
            let text = format!(
                "services:\n  {name}:\n    build: .\n    environment: {{ LOOP: uvloop, WORKERS: 1 }}\n  runner: {{}}\n"
            );
            write(&format!("compose.{name}.yml"), &text);
        }
        folder
    }

    fn chosen(folder: &TempDir, names: &[&str], command: Option<&str>) -> Result<Vec<Contender>> {
        let folder = folder.path();
        let all = names.is_empty();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        choose(&names, all, &folder.join(FILE), Some(folder), command)
    }

    fn names(contenders: &[Contender]) -> Vec<&str> {
        let names = contenders.iter().map(|contender| contender.name.as_str());
        names.collect()
    }

    #[test]
    fn contenders_come_as_they_are_named_the_list_s_before_the_checkout_s() {
        let folder = field();
        let contenders = chosen(&folder, &["jero", "gin", "mine"], None).unwrap();
        assert_eq!(names(&contenders), ["jero", "gin", "mine"]);
        assert_eq!(contenders[0].made_of, "L, F");
        assert!(contenders[1].container.is_none(), "the checkout's gin");
    }

    #[test]
    fn a_stanza_s_variables_are_laid_over_the_compose_file_s_and_its_folder_is_the_checkout_s() {
        let folder = field();
        let contenders = chosen(&folder, &["jero"], None).unwrap();
        let jero = &contenders[0];
        assert_eq!(jero.environment["LOOP"], "asyncio");
        assert_eq!(jero.environment["WORKERS"], "1");
        let (native, container) = (jero.natively().unwrap(), jero.container.as_ref().unwrap());
        assert_eq!(native.folder, folder.path().join("inner"));
        assert_eq!([native.port, container.port], [None, Some(8000)]);
    }

    #[test]
    fn all_are_the_list_s_with_the_limit_and_then_the_checkout_s() {
        let folder = field();
        let file = folder.path().join(FILE);
        let limit =
            "[limit]\nkind = \"limit\"\nlanguage = \"L\"\nframework = \"F\"\ncommand = \"own\"\n";
        fs::write(&file, fs::read_to_string(&file).unwrap() + limit).unwrap();
        let all = chosen(&folder, &[], None).unwrap();
        assert_eq!(names(&all), ["gin", "limit", "mine", "flask", "jero"]);
        let natively = all.iter().map(|contender| contender.native.is_some());
        assert!(natively.eq([true, true, true, false, true]));
    }

    #[test]
    fn a_command_line_replaces_the_stanza_s_and_runs_in_the_checkout() {
        let folder = field();
        let contenders = chosen(&folder, &["jero", "flask", "mine"], Some("other")).unwrap();
        for contender in &contenders {
            let native = contender.natively().unwrap();
            assert_eq!(native.command, "other");
            assert_eq!(native.folder, folder.path().join(""));
        }
        assert_eq!(contenders[2].natively().unwrap().port, Some(9000));
    }

    #[test]
    fn who_is_not_there_or_named_twice_is_told_with_who_is_there() {
        let folder = field();
        let error = |names: &[&str]| chosen(&folder, names, None).unwrap_err().to_string();
        let twice = error(&["gin", "gin"]);
        assert_eq!(twice, "gin is named twice");
        let error = error(&["nobody"]);
        assert!(
            error.starts_with("there is no contender nobody: "),
            "{error}"
        );
        assert!(error.contains("has gin, mine; "), "{error}");
        assert!(error.ends_with("has flask, gin, jero"), "{error}");
    }
}
