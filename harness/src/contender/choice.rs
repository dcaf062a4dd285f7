//! Which contenders a command is about: those of `contenders.toml` and those of a checkout of the
//! public harness, chosen in one line.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail, ensure};
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

impl std::fmt::Display for Known<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
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
            let folder = std::path::absolute(self.folder)?;
            contender.native = Some(Native {
                needs: Default::default(),
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
