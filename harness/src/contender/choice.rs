//! Which contenders a command is about: those of `contenders.toml` and those of a checkout of the
//! public harness, chosen in one line.

use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;

use super::stanza::{self, API_BENCHMARKS_FILE, FILE};
use super::{Contender, Native, api_benchmarks};

/// Options that name contenders.
#[derive(Args, Clone, Debug)]
pub(crate) struct Choice {
    /// Contenders of contenders.toml, or else of --api-benchmarks
    #[arg(conflicts_with = "all")]
    pub(crate) names: Vec<String>,
    /// Every contender there is
    #[arg(long)]
    pub(crate) all: bool,
    /// File that lists the contenders
    #[arg(long, value_name = "FILE", default_value = FILE)]
    pub(crate) contenders: PathBuf,
    /// Checkout of the public harness, whose contenders are offered too
    #[arg(long, value_name = "DIR")]
    pub(crate) api_benchmarks: Option<PathBuf>,
}

/// How contenders are to start.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Way<'a> {
    Native,
    Container,
    /// By this command line instead of their own.
    Command(&'a str),
}

impl Choice {
    /// The contenders that are named, in that order; or all that can start so, the file's first.
    ///
    /// # Errors
    /// There is no such contender, none is named, or a file cannot be read.
    pub(crate) fn contenders(&self, way: Way<'_>) -> Result<Vec<Contender>> {
        let known = Known::read(self)?;
        if self.all {
            let all = known.names().into_iter().map(|name| known.find(name, way));
            let mut all = all.collect::<Result<Vec<_>>>()?;
            all.retain(|contender| match way {
                Way::Container => contender.container.is_some(),
                Way::Native | Way::Command(_) => contender.native.is_some(),
            });
            return Ok(all);
        }
        ensure!(!self.names.is_empty(), "which contender? {known}; or --all");
        for (index, name) in self.names.iter().enumerate() {
            ensure!(!self.names[..index].contains(name), "{name} is named twice");
        }
        let named = self.names.iter().map(|name| known.find(name, way));
        named.collect()
    }

    /// The physical limit, if the file lists it.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(crate) fn limit(&self) -> Result<Option<Contender>> {
        let known = stanza::read(&self.contenders)?;
        Ok(known.into_iter().find(|contender| contender.is_limit))
    }
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
    fn read(choice: &'a Choice) -> Result<Self> {
        let checkout = choice.api_benchmarks.as_deref();
        let checkout = checkout.map(|folder| Checkout::read(folder, &choice.contenders));
        Ok(Self {
            checkout: checkout.transpose()?,
            contenders: stanza::read(&choice.contenders)?,
            file: &choice.contenders,
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

    fn find(&self, name: &str, way: Way<'_>) -> Result<Contender> {
        let own = self
            .contenders
            .iter()
            .find(|contender| contender.name == name);
        if let Some(own) = own {
            let mut contender = own.clone();
            if let Way::Command(command) = way {
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
                checkout.find(name, way)
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
            stanza::read_under(folder, &file)?
        } else {
            Vec::new()
        };
        Ok(Self {
            folder,
            names,
            stanzas,
        })
    }

    fn find(&self, name: &str, way: Way<'_>) -> Result<Contender> {
        let stanza = self.stanzas.iter().find(|stanza| stanza.name == name);
        let mut contender = api_benchmarks::find(self.folder, name, stanza.cloned())?;
        if let Way::Command(command) = way {
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

    use super::*;

    /// A list of `mine` and `gin`, and a checkout of `gin`, `jero` and `flask`, of which `jero` has
    /// a stanza.
    fn choice(names: &[&str]) -> (TempDir, Choice) {
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
        let choice = Choice {
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            all: names.is_empty(),
            contenders: folder.path().join(FILE),
            api_benchmarks: Some(folder.path().to_owned()),
        };
        (folder, choice)
    }

    fn names(contenders: &[Contender]) -> Vec<&str> {
        let names = contenders.iter().map(|contender| contender.name.as_str());
        names.collect()
    }

    #[test]
    fn contenders_come_as_they_are_named_the_list_s_before_the_checkout_s() {
        let (_folder, choice) = choice(&["jero", "gin", "mine"]);
        let contenders = choice.contenders(Way::Native).unwrap();
        assert_eq!(names(&contenders), ["jero", "gin", "mine"]);
        assert_eq!(contenders[0].made_of, "L, F");
        assert!(contenders[1].container.is_none(), "the checkout's gin");
    }

    #[test]
    fn a_stanza_s_variables_are_laid_over_the_compose_file_s_and_its_folder_is_the_checkout_s() {
        let (folder, choice) = choice(&["jero"]);
        let contenders = choice.contenders(Way::Native).unwrap();
        let jero = &contenders[0];
        assert_eq!(jero.environment["LOOP"], "asyncio");
        assert_eq!(jero.environment["WORKERS"], "1");
        let (native, container) = (jero.natively().unwrap(), jero.container.as_ref().unwrap());
        assert_eq!(native.folder, folder.path().join("inner"));
        assert_eq!([native.port, container.port], [None, Some(8000)]);
    }

    #[test]
    fn all_are_those_that_can_start_so() {
        let (_folder, choice) = choice(&[]);
        let all = |way| choice.contenders(way).unwrap();
        assert_eq!(names(&all(Way::Native)), ["gin", "mine", "jero"]);
        assert_eq!(names(&all(Way::Container)), ["flask", "jero"]);
    }

    #[test]
    fn a_command_line_replaces_the_stanza_s_and_runs_in_the_checkout() {
        let (folder, choice) = choice(&["jero", "flask", "mine"]);
        let contenders = choice.contenders(Way::Command("other")).unwrap();
        for contender in &contenders {
            let native = contender.natively().unwrap();
            assert_eq!(native.command, "other");
            assert_eq!(native.folder, folder.path().join(""));
        }
        assert_eq!(contenders[2].natively().unwrap().port, Some(9000));
    }

    #[test]
    fn who_is_not_there_or_named_twice_is_told_with_who_is_there() {
        let (_folder, unknown) = choice(&["nobody"]);
        let error = unknown.contenders(Way::Native).unwrap_err().to_string();
        assert!(
            error.starts_with("there is no contender nobody: "),
            "{error}"
        );
        assert!(error.contains("has gin, mine; "), "{error}");
        assert!(error.ends_with("has flask, gin, jero"), "{error}");
        let (_folder, twice) = choice(&["gin", "gin"]);
        let error = twice.contenders(Way::Native).unwrap_err().to_string();
        assert_eq!(error, "gin is named twice");
    }
}
