//! The costs in `expected.toml`.

use std::collections::BTreeMap;
use std::env;
use std::fmt::Write;
use std::fs;
use std::path::PathBuf;

/// A part of the cost of a request.
#[derive(Clone, Copy)]
pub(crate) enum Unit {
    Allocations,
    Instructions,
}

/// The costs by scenario and profile.
pub(crate) type Costs = BTreeMap<(&'static str, &'static str), u64>;

/// The file: unit, then scenario and profile, then the cost.
type Expected = BTreeMap<String, BTreeMap<String, u64>>;

impl Unit {
    const fn name(self) -> &'static str {
        match self {
            Self::Allocations => "allocations",
            Self::Instructions => "instructions",
        }
    }
}

/// Prints the costs and asserts that each is within this fraction of the expected one.
pub(crate) fn compare(unit: Unit, within: f64, costs: &Costs) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/cost/expected.toml");
    let text = fs::read_to_string(&path).unwrap();
    let mut expected: Expected = toml::from_str(&text).unwrap();
    let known = expected.entry(unit.name().to_owned()).or_default();
    let mut changed = String::new();
    println!("{:<20} {:>12} {:>12}", "", unit.name(), "expected");
    for ((scenario, profile), cost) in costs {
        let name = format!("{scenario} {profile}");
        let before = known.insert(name.clone(), *cost).unwrap_or_default();
        println!("{name:<20} {cost:>12} {before:>12}");
        let ratio = *cost as f64 / before as f64;
        if !((1.0 - within)..=(1.0 + within)).contains(&ratio) {
            writeln!(changed, "{name}: {cost}, not {before}").unwrap();
        }
    }
    if env::var_os("UPDATE_COST").is_some() {
        fs::write(&path, written(&expected)).unwrap();
        return;
    }
    let advice = "the cost of a request has changed; UPDATE_COST=1 writes expected.toml";
    assert!(changed.is_empty(), "{advice}:\n{changed}");
}

fn written(expected: &Expected) -> String {
    let mut text = "# The cost of a request, written with `UPDATE_COST=1`.\n".to_owned();
    for (unit, costs) in expected {
        writeln!(text, "\n[{unit}]").unwrap();
        for (name, cost) in costs {
            writeln!(text, "\"{name}\" = {cost}").unwrap();
        }
    }
    text
}
