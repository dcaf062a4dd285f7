//! Choice of contenders by name, from `contenders.toml` and from a checkout of the public harness.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

use super::definition::{API_BENCHMARKS_FILE, read_under};
use super::{Contender, Native, api_benchmarks, read};

/// Returns the named contenders in that order, or all: those of the file first, then those of the
/// checkout. A name is looked up in the file first. A `command` replaces their own.
///
/// # Errors
/// A name is unknown or repeated, none is given, or a file cannot be read.
pub fn choose(
    names: &[String],
    all: bool,
    file: &Path,
    api_benchmarks: Option<&Path>,
    command: Option<&str>,
) -> Result<Vec<Contender>> {
    let theirs = api_benchmarks.map(api_benchmarks::names).transpose()?;
    let own = read(file)?;
    let own_names = own.iter().map(|contender| contender.name.clone());
    let own_names: Vec<String> = own_names.collect();
    let mut known = format!("{} has {}", file.display(), own_names.join(", "));
    if let (Some(folder), Some(theirs)) = (api_benchmarks, &theirs) {
        known += &format!("; {} has {}", folder.display(), theirs.join(", "));
    }
    let theirs = theirs.unwrap_or_default();
    let mut chosen = names.to_vec();
    if all {
        let others = theirs.iter().filter(|name| !own_names.contains(name));
        chosen = own_names.iter().chain(others).cloned().collect();
    }
    ensure!(
        all || !chosen.is_empty(),
        "which contender? {known}; or --all"
    );
    for (index, name) in chosen.iter().enumerate() {
        ensure!(!chosen[..index].contains(name), "{name} is named twice");
    }
    let find = |name: &String| {
        if let Some(own) = own.iter().find(|own| own.name == *name) {
            return with_command(own.clone(), command);
        }
        match api_benchmarks {
            Some(folder) if theirs.contains(name) => of_checkout(folder, name, file, command),
            _ => bail!("there is no contender {name}: {known}"),
        }
    };
    chosen.iter().map(find).collect()
}

fn with_command(mut contender: Contender, command: Option<&str>) -> Result<Contender> {
    if let Some(command) = command {
        let name = &contender.name;
        let native = contender.native.as_mut();
        let native = native
            .with_context(|| format!("--command overrides a command, and {name} has none"))?;
        command.clone_into(&mut native.command);
    }
    Ok(contender)
}

/// Returns a contender of a checkout. The definitions beside `file` say how it starts without a
/// container.
fn of_checkout(folder: &Path, name: &str, file: &Path, command: Option<&str>) -> Result<Contender> {
    let file = file.with_file_name(API_BENCHMARKS_FILE);
    let definitions = match file.is_file() {
        true => read_under(folder, &file)?,
        false => Vec::new(),
    };
    let definition = definitions.into_iter().find(|known| known.name == name);
    let mut contender = api_benchmarks::find(folder, name, definition)?;
    if let Some(command) = command {
        let folder = std::path::absolute(folder).context("resolving the checkout's folder")?;
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

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::super::FILE;
    use super::*;

    /// A list of `mine` and `gin`, and a checkout of `gin`, `jero` and `flask`, of which `jero` has
    /// a definition.
    fn field() -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        let definition = |name: &str, more: &str| {
            format!("[{name}]\nlanguage = \"L\"\nframework = \"F\"\ncommand = \"own\"\n{more}")
        };
        write(
            FILE,
            &(definition("mine", "port = 9000\n") + &definition("gin", "")),
        );
        let environment = "environment = { LOOP = \"asyncio\" }\nfolder = \"inner\"\n";
        write(API_BENCHMARKS_FILE, &definition("jero", environment));
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
    fn named_contenders_keep_their_order_and_the_file_wins() {
        let folder = field();
        let contenders = chosen(&folder, &["jero", "gin", "mine"], None).unwrap();
        assert_eq!(names(&contenders), ["jero", "gin", "mine"]);
        assert_eq!(contenders[0].made_of, "L, F");
        assert!(contenders[1].container.is_none(), "the checkout's gin");
    }

    #[test]
    fn variables_of_a_definition_override_those_of_the_compose_file() {
        let folder = field();
        let contenders = chosen(&folder, &["jero"], None).unwrap();
        let jero = &contenders[0];
        assert_eq!(jero.variables["LOOP"], "asyncio");
        assert_eq!(jero.variables["WORKERS"], "1");
        let (native, container) = (jero.natively().unwrap(), jero.container.as_ref().unwrap());
        assert_eq!(native.folder, folder.path().join("inner"));
        assert_eq!([native.port, container.port], [None, Some(8000)]);
    }

    #[test]
    fn all_lists_the_file_and_then_the_checkout() {
        let folder = field();
        let all = chosen(&folder, &[], None).unwrap();
        assert_eq!(names(&all), ["gin", "mine", "flask", "jero"]);
        let natively = all.iter().map(|contender| contender.native.is_some());
        assert!(natively.eq([true, true, false, true]));
    }

    #[test]
    fn command_replaces_that_of_the_definition_and_runs_in_the_checkout() {
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
    fn unknown_or_repeated_name_is_rejected_with_the_known_names() {
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
