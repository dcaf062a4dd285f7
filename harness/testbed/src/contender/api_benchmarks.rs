//! The contenders of a checkout of the public harness `api-benchmarks`, by its Compose files: one
//! file for each, which adds a service of the file's name to the base.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::{Container, Contender};

/// The file that all contenders share.
const BASE: &str = "compose.base.yml";

/// Port that its contenders listen on inside a container, whatever `PORT` says.
const PORT: u16 = 8000;

/// The keys of a Compose file that say how a contender runs.
#[derive(Debug, Deserialize)]
struct File {
    services: BTreeMap<String, Service>,
}

#[derive(Debug, Deserialize)]
struct Service {
    /// A map, or a list of `NAME=value`.
    #[serde(default)]
    environment: Value,
    build: Option<IgnoredAny>,
}

/// Returns the names of the contenders of a checkout.
///
/// # Errors
/// The folder is not such a checkout.
pub(super) fn names(checkout: &Path) -> Result<Vec<String>> {
    if !checkout.join(BASE).is_file() {
        bail!(
            "{} is no checkout of api-benchmarks: it has no {BASE}",
            checkout.display()
        );
    }
    let entries =
        fs::read_dir(checkout).with_context(|| format!("reading {}", checkout.display()))?;
    let mut names: Vec<String> = entries
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            Some(
                name.strip_prefix("compose.")?
                    .strip_suffix(".yml")?
                    .to_owned(),
            )
        })
        // Other files belong to the harness of the checkout.
        .filter(|name| service(checkout, name).is_ok())
        .collect();
    names.sort();
    Ok(names)
}

/// Returns the contender of this name: its container and variables from its Compose file, the rest from
/// its definition.
///
/// # Errors
/// Its Compose file is missing or malformed.
pub(super) fn find(
    checkout: &Path,
    name: &str,
    definition: Option<Contender>,
) -> Result<Contender> {
    let mut variables = service(checkout, name)?.environment()?;
    let known = definition.unwrap_or_else(|| Contender::named(name, "api-benchmarks"));
    variables.extend(known.variables);
    let checkout = std::path::absolute(checkout).context("resolving the checkout's folder")?;
    let files = [BASE.to_owned(), file_name(name)].map(|file| checkout.join(file));
    Ok(Contender {
        variables,
        container: Some(Container {
            files: files.into(),
            service: name.to_owned(),
            port: Some(PORT),
        }),
        ..known
    })
}

fn file_name(name: &str) -> String {
    format!("compose.{name}.yml")
}

/// Reads the service of a contender from its file.
fn service(checkout: &Path, name: &str) -> Result<Service> {
    let path: PathBuf = checkout.join(file_name(name));
    let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    parse(&text, name).with_context(|| format!("in {}", path.display()))
}

fn parse(text: &str, name: &str) -> Result<Service> {
    let mut file: File = serde_saphyr::from_str(text).context("not a Compose file")?;
    let has_runner = file.services.contains_key("runner");
    match file.services.remove(name) {
        Some(service) if has_runner && service.build.is_some() => Ok(service),
        _ => bail!("no service {name} to build, or no runner that measures it"),
    }
}

impl Service {
    /// Returns its variables, with the defaults of `${NAME:-default}`.
    fn environment(&self) -> Result<BTreeMap<String, String>> {
        let pair = |(name, value): (&str, &str)| {
            let value = with_defaults(value).with_context(|| name.to_owned())?;
            Ok((name.to_owned(), value))
        };
        match &self.environment {
            Value::Object(map) => {
                let pairs = map.iter();
                pairs
                    .map(|(name, value)| pair((name, &text(value))))
                    .collect()
            }
            Value::Array(list) => {
                let lines = list.iter().filter_map(Value::as_str);
                let pairs = lines.filter_map(|line| line.split_once('='));
                pairs.map(pair).collect()
            }
            _ => Ok(BTreeMap::new()),
        }
    }
}

/// Returns a scalar as Compose passes it on.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// Interpolates a value whose variables are unset (Compose specification, interpolation). Only
/// `${NAME}`, `${NAME:-default}` and `$$` are supported.
fn with_defaults(text: &str) -> Result<String> {
    let mut value = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        value += before;
        if let Some(after) = after.strip_prefix('$') {
            value.push('$');
            rest = after;
            continue;
        }
        let inner = after
            .strip_prefix('{')
            .and_then(|inner| inner.split_once('}'));
        let (inner, after) = inner.with_context(|| format!("the value {text:?}"))?;
        let default = inner.split_once(":-").map_or("", |(_, default)| default);
        value += default;
        rest = after;
    }
    Ok(value + rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIN: &str = "services:\n  gin:\n    build: { context: ./gin }\n    environment:\n      \
        GOMAXPROCS: ${WORKERS:-1}\n      DB_PORT: 5432\n  runner:\n    environment: [A=b]\n";

    #[test]
    fn contender_has_the_variables_of_its_file() {
        let service = parse(GIN, "gin").unwrap();
        let expected = [("DB_PORT", "5432"), ("GOMAXPROCS", "1")];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(service.environment().unwrap(), BTreeMap::from(expected));
    }

    #[test]
    fn file_without_its_service_or_a_runner_is_rejected() {
        assert!(parse(GIN, "jero").is_err());
        let alone = GIN.replace("runner", "other");
        assert!(parse(&alone, "gin").is_err());
    }

    #[test]
    fn variables_have_their_defaults() {
        for (text, value) in [
            ("plain", "plain"),
            ("${A:-b}c", "bc"),
            ("${A}", ""),
            ("a$$b", "a$b"),
        ] {
            assert_eq!(with_defaults(text).unwrap(), value);
        }
        assert!(with_defaults("$A").is_err());
    }
}
